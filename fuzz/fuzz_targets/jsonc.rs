#![no_main]

mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| property::edits_leave_no_trace(mcpkeel::document::Format::Jsonc, data));
