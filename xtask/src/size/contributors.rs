//! Who takes the bytes: symbols as they are, and crates by the first segment of their symbols' paths.

use std::collections::BTreeMap;

use serde::Serialize;

use super::elf::Symbol;

/// Bytes that no symbol covers: constants without a name and padding.
const UNNAMED: &str = "(constants without a name)";
/// Symbols of C's or the assembler's world.
const UNMANGLED: &str = "(not mangled)";

/// A crate or symbol and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Contributor {
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// Sums symbols by crate; what is left of `total` has no symbol.
pub(super) fn by_crate(symbols: &[Symbol], total: u64) -> Vec<Contributor> {
    let mut rest = total;
    let named = symbols.iter().map(|symbol| {
        rest = rest.saturating_sub(symbol.bytes);
        (crate_of(&symbol.name), symbol.bytes)
    });
    let mut contributors = sum(named);
    if rest > 0 {
        contributors.push(Contributor { name: UNNAMED.to_owned(), bytes: rest });
    }
    contributors
}

/// Sums symbols by their path.
pub(super) fn by_symbol(symbols: &[Symbol]) -> Vec<Contributor> {
    sum(symbols.iter().map(|symbol| (path_of(&symbol.name), symbol.bytes)))
}

/// The largest first.
pub(super) fn largest(mut contributors: Vec<Contributor>, count: usize) -> Vec<Contributor> {
    contributors.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    contributors.truncate(count);
    contributors
}

fn sum(parts: impl Iterator<Item = (String, u64)>) -> Vec<Contributor> {
    let mut sums = BTreeMap::new();
    for (name, bytes) in parts {
        *sums.entry(name).or_insert(0) += bytes;
    }
    sums.into_iter().map(|(name, bytes)| Contributor { name, bytes }).collect()
}

/// The path without its hash.
fn path_of(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// The crate a symbol belongs to: for `<a::T as b::Trait>::f` that is `a`, whose type it is.
fn crate_of(symbol: &str) -> String {
    let Ok(name) = rustc_demangle::try_demangle(symbol) else { return UNMANGLED.to_owned() };
    let path = format!("{name:#}");
    let start = path.trim_start_matches(['<', '&', '*', '(', '[']);
    let start = start.strip_prefix("mut ").or_else(|| start.strip_prefix("dyn ")).unwrap_or(start);
    let end = start.find(|character: char| !character.is_alphanumeric() && character != '_');
    start[..end.unwrap_or(start.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(name: &str, bytes: u64) -> Symbol {
        Symbol { name: name.to_owned(), bytes }
    }

    const DECODE: &str = "_ZN5trust4cbor6decode17h0123456789abcdefE";
    const AS_TRAIT: &str =
        "_ZN54_$LT$minicbor..Error$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE";

    #[test]
    fn a_symbol_belongs_to_the_crate_of_its_type() {
        assert_eq!(crate_of(DECODE), "trust");
        assert_eq!(crate_of(AS_TRAIT), "minicbor");
        assert_eq!(crate_of("memcpy"), UNMANGLED);
    }

    #[test]
    fn crates_add_up_to_the_whole() {
        let symbols = [symbol(DECODE, 100), symbol(DECODE, 20), symbol(AS_TRAIT, 30), symbol("Reset", 4)];
        let by_crate = largest(by_crate(&symbols, 200), 10);
        let expected = [("trust", 120), (UNNAMED, 46), ("minicbor", 30), (UNMANGLED, 4)];
        let expected = expected.map(|(name, bytes)| Contributor { name: name.to_owned(), bytes });
        assert_eq!(by_crate, expected);
    }

    #[test]
    fn only_the_largest_are_shown() {
        let symbols: Vec<_> = (0..20).map(|index| symbol(&format!("s{index:02}"), index)).collect();
        let shown = largest(by_symbol(&symbols), 3);
        assert_eq!(shown.iter().map(|shown| shown.bytes).collect::<Vec<_>>(), [19, 18, 17]);
        assert_eq!(shown[0].name, "s19");
    }
}
