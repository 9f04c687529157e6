"""One thin module per framework, over the public names of `jv_session_mw`."""
