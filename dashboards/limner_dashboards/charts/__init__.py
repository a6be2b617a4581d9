"""Charts: pure functions from numbers to plotly figures. They read nothing and know no page."""
