"""HTML report: queries of the marts, charts, insights and templates."""
