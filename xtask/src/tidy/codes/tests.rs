//! The rule on a table of three reasons and on a program with two codes.

use super::*;

const REASONS: &str = r#"
reasons! {
    0x0101 Made "made" 1 5 "M." "H.";
    0x0102 OfKind "of-kind" 1 5 "M." "H.";
}
impl From<ErrorKind> for Reason {
    fn from(kind: ErrorKind) -> Self {
        match kind { ErrorKind::Known | ErrorKind::Other(_) => Self::OfKind }
    }
}
"#;
const ERRORS: &str = "| code | slug |\n|---|---|\n| `0101` | `made` |\n| `0102` | `of-kind` |\n";
const MAKES: &str = "fn f() -> Refusal { Refusal::of(Reason::Made) }\nfn g() { fail(ErrorKind::Other(1)) }";

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into() }
}

fn found(makes: &str, errors: &str) -> Vec<String> {
    let sources = [source(TABLE, REASONS), source("trust/src/x.rs", makes)];
    let document = |page: &str| (page == DOCUMENT).then(|| errors.to_owned());
    check(&sources, document).iter().map(ToString::to_string).collect()
}

#[test]
fn reasons_that_are_documented_and_produced_are_left_alone() {
    assert_eq!(found(MAKES, ERRORS), [""; 0]);
    let in_a_macro = "fn f() { ensure!(x, Reason::Made); fail!(Kind::Known) }";
    assert_eq!(found(in_a_macro, ERRORS), [""; 0]);
}

#[test]
fn a_reason_that_nothing_produces_is_found() {
    let made = "suit-manifest/src/reason.rs:3: nothing produces `made`";
    for judges in [
        "fn f(r: Reason) -> u8 { match r { Reason::Made => 1, Reason::OfKind => 2 } }",
        "fn f(r: Reason) -> bool { r == Reason::Made }",
        "fn f(r: Reason) -> bool { matches!(r, Reason::Made) }",
        "fn f(r: Reason) { if let Some(Reason::Made) = g() {} }",
        "#[cfg(test)] mod tests { fn f() -> Reason { Reason::Made } }",
        "// Reason::Made",
    ] {
        let text = format!("{judges}\nfn g() {{ fail(ErrorKind::Known) }}");
        assert_eq!(found(&text, ERRORS), [made], "{judges}");
    }
    let without_kind = MAKES.replace("ErrorKind::Other", "ErrorKind::Third");
    assert_eq!(found(&without_kind, ERRORS), ["suit-manifest/src/reason.rs:4: nothing produces `of-kind`"]);
}

#[test]
fn a_reason_that_only_code_or_only_the_page_knows_is_found() {
    let less = ERRORS.replace("| `0102` | `of-kind` |\n", "");
    assert_eq!(found(MAKES, &less), ["suit-manifest/src/reason.rs:4: `of-kind` is not in docs/errors.md"]);
    let more = ERRORS.to_owned() + "| `0103` | `third` |\n";
    assert_eq!(found(MAKES, &more), ["docs/errors.md:5: `third` is not in suit-manifest/src/reason.rs"]);
}

fn of_programs(path: &str, text: &str, page: &str, table: &str) -> Vec<String> {
    let sources = [source(TABLE, REASONS), source("trust/src/x.rs", MAKES), source(path, text)];
    let document = |asked: &str| match asked {
        DOCUMENT => Some(ERRORS.to_owned()),
        asked => (asked == page).then(|| table.to_owned()),
    };
    check(&sources, document).iter().map(ToString::to_string).collect()
}

#[test]
fn codes_of_a_program_and_of_its_page_are_the_same() {
    let tool = "impl Error { fn code(&self) -> &str { match self { A => \"file-gone\", B => Reason::Made.slug() } } }";
    let page = "docs/manifest-tool.md";
    let table = "| code | exit |\n|---|---|\n| `file-gone`, `made` | 2, `not-this` |\n\n| `nor-this` | |\n";
    assert_eq!(of_programs("manifest-tool/src/error.rs", tool, page, table), [""; 0]);
    let other = table.replace("gone", "lost");
    assert_eq!(
        of_programs("manifest-tool/src/error.rs", tool, page, &other),
        [
            "manifest-tool/src/error.rs:1: `file-gone` is not in docs/manifest-tool.md",
            "docs/manifest-tool.md:3: nothing in manifest-tool/src produces `file-lost`",
        ]
    );
}

#[test]
fn codes_of_the_server_stand_in_its_problems() {
    let server =
        "fn f() -> Problem { Problem::new(Status::X, \"image-gone\", \"not-this one\").header(\"x-y\") }";
    let page = "docs/server-api.md";
    let table = "| status | code |\n|---|---|\n| 404 | `image-gone` (with `Allow`) |\n";
    assert_eq!(of_programs("update-server/src/http/a.rs", server, page, table), [""; 0]);
    assert_eq!(of_programs("update-server/src/http/a.rs", server, page, "").len(), 1);
    assert_eq!(of_programs("update-server/src/http/a.rs", "", page, table).len(), 1);
}

#[test]
fn the_code_of_a_warning_is_documented() {
    let host = "fn f() { output.warn(\"bus-slow\", \"words\"); output.warn(&error.code(), \"not-this\"); tracing.warn(\"nor-this\"); }";
    let page = "docs/updater-host.md";
    let table = "| warning code | |\n|---|---|\n| `bus-slow` | x |\n";
    assert_eq!(of_programs("updater-host/src/a.rs", host, page, table), [""; 0]);
    assert_eq!(
        of_programs("updater-host/src/a.rs", host, page, ""),
        ["updater-host/src/a.rs:1: `bus-slow` is not in docs/updater-host.md"]
    );
}
