"""Everything that shows results: collecting, tables, pages, pictures, templates; figures are reckoned in scoring."""
