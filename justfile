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

# Write the generated parts of the repository anew (schema, client table)
generate:
    MCPKEEL_GENERATE=1 cargo test --test main generated

# Licences, advisories, sources of the dependencies
deny:
    cargo deny check

# Run the program from the working tree
run *ARGS:
    cargo run --quiet -- {{ARGS}}
