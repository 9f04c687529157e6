"""One thin module per framework; each imports the public names of `jv_session_mw` and its own framework."""
