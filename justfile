# Short names for what is done often. `just` alone lists them; none does more than the line it shows.

_list:
    @just --list --unsorted

# The main job on examples/ with a throw-away HOME
try:
    ./examples/try

# Everything that must pass: format, clippy, tests
test *ARGS:
    ./.ci/test {{ARGS}}

# What CI does on a fresh machine, with the real AI clients
ci:
    ./.ci/run

# Format the sources
fmt:
    cargo fmt

# The tests alone; `just t probes` runs one group
t *ARGS:
    cargo test {{ARGS}}

# Write anew what is generated or golden (schema, client table, expected outputs); read the diff before you commit it
bless *ARGS:
    MCPKEEL_BLESS=1 cargo test {{ARGS}}

# Licences, advisories, sources of the dependencies
deny:
    cargo deny check

# Run the program from the working tree
run *ARGS:
    cargo run --quiet -- {{ARGS}}
