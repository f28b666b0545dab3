#![no_main]

// The lay-out only: the manifest's own property comes with its parser.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = std::str::from_utf8(data);
});
