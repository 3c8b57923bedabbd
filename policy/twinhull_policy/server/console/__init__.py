"""The administrators' web page: rendered here, readable without JavaScript, loading nothing from
elsewhere."""
