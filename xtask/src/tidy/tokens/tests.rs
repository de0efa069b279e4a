//! Every rule on an example that it must find, and on one that it must leave alone.

use super::*;

const ROOT: &str = "//! Words.\n#![forbid(unsafe_code)]\n\
    #![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]\n";

/// A crate root that is large enough to be a crate.
fn root(body: &str) -> String {
    let filler: String = (0..10).map(|index| format!("const _C{index}: u8 = {index};\n")).collect();
    format!("{ROOT}{filler}{body}")
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into() }
}

fn found(path: &str, text: &str) -> Vec<String> {
    check(&[source(path, text)]).iter().map(|finding| finding.message.clone()).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn unsafe_outside_the_boards_is_found() {
    let text = "fn f() { let x = unsafe { g() }; }";
    assert_eq!(found("can-bus/src/socket.rs", text), ["`unsafe` outside the boards and the C library"]);
    assert_eq!(found("bootloader/src/flash.rs", text), ["`unsafe` outside the boards and the C library"]);
    assert_eq!(found("bootloader/boards/qemu-mps2/src/uart.rs", text), NONE);
    assert_eq!(
        found("tests/src/flash.rs", "unsafe impl Send for X {}"),
        ["`unsafe` outside the boards and the C library"]
    );
}

#[test]
fn words_in_comments_and_strings_are_no_tokens() {
    let text = "// unsafe todo!()\n/* dbg!(1) */ fn f() -> &'static str { \"unsafe std::fs\" }";
    assert_eq!(found("trust/src/cose.rs", text), NONE);
}

#[test]
fn a_crate_root_without_the_forbid_is_found() {
    let text = root("").replace("#![forbid(unsafe_code)]", "#![deny(unsafe_code)]");
    assert_eq!(found("trust/src/lib.rs", &text), ["has no #![forbid(unsafe_code)]"]);
    assert_eq!(found("xtask/src/main.rs", &text), ["has no #![forbid(unsafe_code)]"]);
    assert_eq!(found("manifest-tool/src/bin/other.rs", &text), ["has no #![forbid(unsafe_code)]"]);
    assert_eq!(found("bootloader/boards/sim/src/main.rs", &text), NONE);
    assert_eq!(found("trust/src/lib.rs", &root("")), NONE);
}

#[test]
fn a_library_without_its_lints_is_found() {
    let missing = ["clippy::missing_errors_doc", "clippy::must_use_candidate"];
    let text = root("").replace(", clippy::missing_errors_doc, clippy::must_use_candidate", "");
    assert_eq!(found("can-bus/src/lib.rs", &text), missing.map(|lint| format!("has no #![warn({lint})]")));
    let none = root("").replace("#![warn(missing_docs", "#![deny(x");
    assert_eq!(found("can-bus/src/lib.rs", &none).len(), 3);
    assert_eq!(found("can-bus/src/lib.rs", &root("")), NONE);
    assert_eq!(found("manifest-tool/src/lib.rs", &none), NONE);
    assert_eq!(found("bootloader/boards/qemu-mps2/src/main.rs", &none), NONE);
}

#[test]
fn an_empty_crate_is_found() {
    let text = format!("{ROOT}fn main() {{}}");
    assert_eq!(found("manifest-tool/src/main.rs", &text), ["the crate is empty"]);
}

#[test]
fn a_heap_or_std_in_device_code_is_found() {
    for text in [
        "use std::vec::Vec;",
        "use alloc::vec::Vec;",
        "extern crate alloc;",
        "extern crate std;",
        "fn f() { let x = ::std::vec::Vec::<u8>::new(); }",
        "fn f() -> alloc::string::String { g() }",
        "macro_rules! m { () => { std::mem::drop(1) } }",
    ] {
        let message = found("suit-manifest/src/envelope.rs", text);
        assert_eq!(message.len(), 1, "{text}: {message:?}");
        assert!(message[0].ends_with("in code that a device runs"), "{text}: {message:?}");
        assert_eq!(found("updater-host/src/main_loop.rs", text), NONE, "{text}");
        for board in ["flash-array", "qemu-mps2", "qemu-mps2-app", "qemu-mps2-support"] {
            let path = format!("bootloader/boards/{board}/src/heap.rs");
            assert_eq!(found(&path, text).len(), 1, "{path}: {text}");
        }
    }
}

#[test]
fn an_allocator_in_the_devices_product_is_found() {
    for text in [
        "#[global_allocator]\nstatic HEAP: Heap = Heap;",
        "#[cfg_attr(target_os = \"none\", global_allocator)]\nstatic HEAP: Heap = Heap;",
    ] {
        let message = "an allocator in the device's product";
        assert_eq!(found("bootloader/boards/qemu-mps2/src/heap.rs", text), [message]);
        assert_eq!(found("bootloader/src/heap.rs", text), [message]);
        assert_eq!(found("update-server/src/heap.rs", text), NONE);
    }
}

#[test]
fn a_file_of_another_package_is_found() {
    let name = |text: &str| vec![format!("takes in `{text}`, which is another package's")];
    let server = "../../updater-host/src/cli.rs";
    assert_eq!(found("update-server/src/x.rs", &format!("#[path = \"{server}\"]\nmod x;")), name(server));
    let conditional = format!("#[cfg_attr(unix, path = \"{server}\")]\nmod x;");
    assert_eq!(found("update-server/src/x.rs", &conditional), name(server));
    for text in ["include!", "include_str!", "include_bytes!"] {
        let text = format!("fn f() {{ {text}(\"{server}\"); }}");
        assert_eq!(found("update-server/src/x.rs", &text), name(server));
    }
    let outside = "../../../elsewhere.rs";
    assert_eq!(found("trust/src/x.rs", &format!("include!(\"{outside}\");")), name(outside));
    let package = "/../updater-host/src/cli.rs";
    let text = format!("include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"{package}\"));");
    assert_eq!(found("update-server/src/x.rs", &text), name(package));
    for (path, text) in [
        ("bootloader/tests/x.rs", "../../tests/src/device.rs"),
        ("bootloader/boards/a/build.rs", "../b/layout.rs"),
        ("bootloader/boards/a/build.rs", "../b/src/layout.rs"),
        ("bootloader/src/x.rs", "../boards/a/src/layout.rs"),
        ("tests/src/x.rs", "../../bootloader/boards/b/src/layout.rs"),
        ("tests/src/x.rs", "../emulator/src/lib.rs"),
        ("xtask/src/x.rs", "../../tests/src/qemu.rs"),
    ] {
        assert_eq!(found(path, &format!("#[cfg(test)]\n#[path = \"{text}\"]\nmod x;")), name(text), "{path}");
    }
}

#[test]
fn files_of_the_same_package_and_documents_are_no_edges() {
    for (path, text) in [
        ("bootloader/tests/x.rs", "#[path = \"device/boot.rs\"]\nmod boot;"),
        ("bootloader/boards/a/build.rs", "#[path = \"layout.rs\"]\nmod layout;"),
        ("bootloader/boards/a/build.rs", "#[path = \"src/layout.rs\"]\nmod layout;"),
        ("tests/tests/x.rs", "#[path = \"../src/layout.rs\"]\nmod layout;"),
        ("bootloader/src/x.rs", "const KEY: &[u8] = include_bytes!(\"../keys/anchor.cose\");"),
        ("update-protocol/tests/x.rs", "const PAGE: &str = include_str!(\"../../docs/can-protocol.md\");"),
        ("bootloader/src/x.rs", "include!(concat!(env!(\"OUT_DIR\"), \"/anchor.rs\"));"),
    ] {
        assert_eq!(found(path, text), NONE, "{path}: {text}");
    }
}

#[test]
fn host_only_code_of_device_crates_may_use_std() {
    for text in [
        "#[cfg(test)]\nmod tests { use std::vec::Vec; }",
        "#[cfg(feature = \"author\")]\nimpl std::error::Error for E {}",
        "#[cfg(feature = \"host\")]\nimpl std::error::Error for E {}",
        "#[cfg(any(test, feature = \"author\"))]\nextern crate alloc;",
        "#[cfg(all(test, not(feature = \"author\")))]\nextern crate std;",
        "use core::fmt; fn f(no_std: u8) {}",
        "use other::std::thing;",
    ] {
        assert_eq!(found("trust/src/error.rs", text), NONE, "{text}");
    }
    for condition in
        ["not(feature = \"author\")", "any(test, unix)", "all(unix, not(test))", "feature = \"other\""]
    {
        let text = format!("#[cfg({condition})]\nuse std::vec::Vec;");
        assert_eq!(found("trust/src/error.rs", &text).len(), 1, "{condition}");
    }
    let after = "#[cfg(test)]\nmod tests { }\nuse std::vec::Vec;";
    assert_eq!(found("trust/src/error.rs", after).len(), 1);
}

#[test]
fn files_of_host_only_modules_may_use_std() {
    let lib = root("#[cfg(feature = \"author\")]\npub mod author;\npub mod cose;\n");
    let cose = "pub fn f() {}\n#[cfg(test)]\nmod tests;";
    let uses_std = "use std::vec::Vec;";
    let sources = [
        source("trust/src/lib.rs", &lib),
        source("trust/src/author.rs", uses_std),
        source("trust/src/author/key.rs", uses_std),
        source("trust/src/cose.rs", cose),
        source("trust/src/cose/tests.rs", uses_std),
    ];
    assert_eq!(check(&sources), []);
    let strayed = [source("trust/src/lib.rs", &lib), source("trust/src/cose/other.rs", uses_std)];
    assert_eq!(check(&strayed).len(), 1);
}

#[test]
fn unfinished_code_is_found() {
    assert_eq!(found("tests/src/a.rs", "fn f() { todo!() }"), ["`todo!` in finished code"]);
    assert_eq!(found("tests/src/a.rs", "fn f() { g(unimplemented!(\"x\")) }").len(), 1);
    assert_eq!(found("tests/src/a.rs", "fn f() { dbg!(1); }").len(), 1);
    assert_eq!(found("tests/src/a.rs", "#[test]\n#[ignore]\nfn f() {}"), ["an ignored test"]);
    assert_eq!(found("tests/src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"), ["an ignored test"]);
    assert_eq!(found("tests/src/a.rs", "fn f() { let todo = 1; }"), NONE);
}

#[test]
fn accessors_called_get_are_found() {
    assert_eq!(found("trust/src/key.rs", "impl K { pub fn get_kid(&self) {} }").len(), 1);
    assert_eq!(found("trust/src/key.rs", "fn f() { map.get_mut(); } fn getter() {}"), NONE);
    // A test may send a GET request.
    assert_eq!(found("update-server/tests/http.rs", "fn get_with(url: &str) {}"), NONE);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let lines = |count: usize| "const _C: u8 = 0;\n".repeat(count);
    assert_eq!(found("trust/src/key.rs", &lines(801)), ["801 lines, at most 800"]);
    assert_eq!(found("trust/src/key.rs", &lines(800)), NONE);
}

#[test]
fn a_finding_names_its_line() {
    let findings = check(&[source("tests/src/a.rs", "fn f() {\n\n    todo!()\n}")]);
    assert_eq!(findings[0].line, 3);
}
