//! Servers that are kept running: their processes, their health, their logs.
