"""Install the packages of `make dist-check` into empty environments and run the demo."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

_CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
_LONGEST_SECONDS = 900


def try_out(package: Path, folder: Path) -> str:
    """Install a wheel or sdist into a new environment; return its version and the demo's result."""
    home = folder / "environment"
    venv.create(home, with_pip=True, clear=True)
    bins = home / "bin"
    wanted = f"tower-etl[simulator] @ {package.resolve().as_uri()}"
    _run(folder, str(bins / "pip"), "install", "--quiet", "-c", str(_CONSTRAINTS), wanted)
    version = _run(folder, str(bins / "tower-etl"), "--version").strip()
    demo = _run(folder, str(bins / "tower-etl"), "demo")
    said = next(line for line in demo.splitlines() if line.startswith("The second sync"))
    return f"{package.name}: {version}; {said}"


def weigh(site: Path) -> list[tuple[str, float]]:
    """Return the megabytes of each entry of a site-packages folder, the largest first."""
    sizes = {entry.name: _measure(entry) / 1e6 for entry in site.iterdir()}
    return sorted(sizes.items(), key=lambda item: -item[1])


def _measure(entry: Path) -> int:
    files = entry.rglob("*") if entry.is_dir() else [entry]
    return sum(file.stat().st_size for file in files if file.is_file())


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def main(built: Path) -> None:
    """Try out every package in a folder, then print the largest parts of the installation."""
    for package in sorted(built.iterdir()):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sys.stdout.write(try_out(package, folder) + "\n")
            sites = list((folder / "environment" / "lib").glob("python*/site-packages"))
            sizes = weigh(sites[0])
    largest = ", ".join(f"{entry} {size:.0f}" for entry, size in sizes[:8])
    sys.stdout.write(f"{sum(size for _, size in sizes):.0f} MB installed: {largest}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
