//! Bits as words of the English list of BIP-39: fingerprints that are read aloud, shares that are typed.

use bip39::Language;
use zeroize::Zeroizing;

/// Bits that a word stands for: the list has 2,048 words.
pub const BITS_A_WORD: usize = 11;
/// Fewest letters that tell a word of the list from all others.
const WORD_START: usize = 4;

/// The first `count` words of `bytes`, the most significant bit first; bits beyond the end are 0.
#[must_use]
pub fn words(bytes: &[u8], count: usize) -> Vec<&'static str> {
    let list = Language::English.word_list();
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    let index = |word: usize| (0..BITS_A_WORD).fold(0, |index, at| index << 1 | bit(word * BITS_A_WORD + at));
    (0..count).filter_map(|word| list.get(index(word)).copied()).collect()
}

/// Where a word is in the list; its first four letters suffice.
#[must_use]
pub fn index_of(word: &str) -> Option<usize> {
    let word = Zeroizing::new(word.to_ascii_lowercase());
    let list = Language::English.word_list();
    if let Some(index) = list.iter().position(|known| **known == **word) {
        return Some(index);
    }
    // Not a longer word with another end.
    let is_start = |known: &&str| word.len() == WORD_START && known.starts_with(&**word);
    list.iter().position(is_start)
}
