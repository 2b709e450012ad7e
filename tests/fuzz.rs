//! The kept inputs of the fuzzer (`fuzz/`), each given to its target once.
#![cfg(not(target_arch = "wasm32"))]

#[allow(unreachable_pub, reason = "the fuzzer's own crate reads the same file")]
#[path = "../fuzz/targets.rs"]
mod targets;

#[test]
fn kept_inputs_hold() {
    for (name, target) in targets::TARGETS {
        let folder = format!("fuzz/corpus/{name}");
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{folder}: {error}"))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{folder} is empty");
        for path in files {
            println!("{}", path.display());
            target(&std::fs::read(&path).expect("an input can be read"));
        }
    }
}
