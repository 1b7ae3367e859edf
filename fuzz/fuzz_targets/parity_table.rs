#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| dssvault::fuzzing::run("parity_table", data));
