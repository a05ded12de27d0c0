"""Who is in a seeded world: members, collaborators, teams and participants."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tower_etl.simulator.directory import Directory, User, Workspace
    from tower_etl.simulator.runs import Row

_TEAMS = ("bioinformatics", "platform")
_GUEST = {"userName": "guest-reviewer", "firstName": "Guest", "lastName": "Reviewer"}


def populate(world: Directory, org_id: int) -> None:
    """Fill an organisation."""
    for user in world.users.values():
        world.add_entity("members", org_id, **_make_member(user))
    world.add_entity("collaborators", org_id, **_make_collaborator(org_id))
    for number, name in enumerate(_TEAMS):
        crew = [user for user in world.users.values() if user.id % len(_TEAMS) == number]
        world.add_entity("teams", org_id, **_make_team(org_id, number, name, len(crew)))
        for user in crew:
            world.add_entity("teamMembers", _team_id(org_id, number), **_make_member(user))


def let_in(world: Directory, place: Workspace, org_id: int) -> None:
    """Open a workspace to every user, and to the first team."""
    for user in world.users.values():
        world.add_entity("participants", place.id, **_make_participant(place, user))
    team = {"teamId": _team_id(org_id, 0), "teamName": _TEAMS[0]}
    world.add_entity("participants", place.id, **_make_team_participant(place, team))


def _team_id(org_id: int, number: int) -> int:
    return org_id % 1_000_003 * 10 + number


def _make_member(user: User) -> Row:
    first, _, last = user.name.partition("-")
    return {
        "memberId": 500_000 + user.id,
        "userId": user.id,
        "userName": user.name,
        "email": f"{user.name}@example.org",
        "firstName": first.title(),
        "lastName": last.title(),
        "avatar": None,
        "role": "member",
    }


def _make_collaborator(org_id: int) -> Row:
    return {
        **_GUEST,
        "memberId": 900_000 + org_id % 1000,
        "userId": 999,
        "email": "guest-reviewer@example.org",
        "avatar": None,
        "role": "collaborator",
    }


def _make_team(org_id: int, number: int, name: str, members: int) -> Row:
    return {
        "teamId": _team_id(org_id, number),
        "name": name,
        "description": f"The {name} team",
        "avatarUrl": None,
        "membersCount": members,
        "idpGroupId": None,
        "idpGroupName": None,
    }


def _make_participant(place: Workspace, user: User) -> Row:
    first, _, last = user.name.partition("-")
    return {
        "participantId": place.key % 1_000_003 * 1000 + user.id % 1000,
        "memberId": 500_000 + user.id,
        "userName": user.name,
        "firstName": first.title(),
        "lastName": last.title(),
        "email": f"{user.name}@example.org",
        "orgRole": "member",
        "teamId": None,
        "teamName": None,
        "wspRole": "launch",
        "type": "MEMBER",
        "teamAvatarUrl": None,
        "userAvatarUrl": None,
    }


def _make_team_participant(place: Workspace, team: Row) -> Row:
    nothing = ("memberId", "userName", "firstName", "lastName", "email", "orgRole")
    return {
        **dict.fromkeys((*nothing, "teamAvatarUrl", "userAvatarUrl")),
        **team,
        "participantId": place.key % 1_000_003 * 1000 + 999,
        "wspRole": "view",
        "type": "TEAM",
    }
