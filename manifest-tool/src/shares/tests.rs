use trust::author::{Signer as _, SoftwareKey};
use zeroize::Zeroizing;

use super::{MARK, SHARE_WORDS, Seed, Share, ShareFault, combine, split};

fn key(seed: u8) -> (Seed, SoftwareKey) {
    let seed = Zeroizing::new([seed; 32]);
    let key = SoftwareKey::from_seed(&seed).unwrap();
    (seed, key)
}

fn shares(seed: u8, threshold: u8, count: u8) -> Vec<Share> {
    let (seed, key) = key(seed);
    split(&seed, &key.public_key(), threshold, count).unwrap()
}

fn fault(shares: &[Share]) -> ShareFault {
    combine(shares).map(drop).unwrap_err()
}

#[test]
fn any_threshold_of_shares_makes_the_key_again() {
    let all = shares(7, 3, 5);
    let (seed, key) = key(7);
    for a in 0..5 {
        for b in 0..5 {
            for c in 0..5 {
                let chosen = [all[a].clone(), all[b].clone(), all[c].clone()];
                if a != b && b != c && a != c {
                    let (made, public) = combine(&chosen).unwrap();
                    assert_eq!((*made, public.public_key()), (*seed, key.public_key()));
                } else {
                    assert_eq!(fault(&chosen), ShareFault::Twice);
                }
            }
        }
    }
    assert_eq!(*combine(&all).unwrap().0, *seed);
    assert_eq!(fault(&all[..2]), ShareFault::TooFew { given: 2, needed: 3 });
}

#[test]
fn shares_of_two_splits_or_two_keys_are_not_mixed() {
    let (one, again, other) = (shares(7, 2, 3), shares(7, 2, 3), shares(8, 2, 3));
    if one[0].split() != again[0].split() {
        assert_eq!(fault(&[one[0].clone(), again[1].clone()]), ShareFault::OtherSplit);
    }
    assert_eq!(fault(&[one[0].clone(), other[1].clone()]), ShareFault::OtherKey);
}

/// A share that says of itself that it is whole, and is another one.
#[test]
fn a_forged_share_makes_no_key() {
    let all = shares(7, 2, 3);
    let forge = |place: usize, byte: u8| {
        let mut bytes = all[0].0.clone();
        bytes[place] = byte;
        let checksum = trust::sha256(&bytes[..45]);
        bytes[45..].copy_from_slice(&checksum[..4]);
        Share::from_bytes(bytes)
    };
    let forged = forge(20, all[0].0[20] ^ 1).unwrap();
    assert!(matches!(fault(&[forged.clone(), all[1].clone()]), ShareFault::WrongKey(_)));
    assert!(
        matches!(fault(&[all[1].clone(), all[2].clone(), forged]), ShareFault::WrongKey(_)),
        "one too many"
    );
    for (place, byte, wanted) in
        [(12, 0, ShareFault::Text), (11, 1, ShareFault::Text), (0, 2, ShareFault::Format(2))]
    {
        assert_eq!(forge(place, byte).map(drop).unwrap_err(), wanted, "{place}");
    }
}

#[test]
fn every_form_of_a_share_reads_back_and_every_slip_is_found() {
    let share = &shares(9, 2, 2)[1];
    let words = share.words();
    assert_eq!(words.len(), SHARE_WORDS);
    let starts: Vec<String> = words.iter().map(|word| word.chars().take(4).collect()).collect();
    let numbered =
        words.iter().enumerate().map(|(place, word)| format!("{}. {}\n", place + 1, word.to_uppercase()));
    for text in [
        share.code().to_string(),
        words.join(" "),
        starts.join("\n"),
        numbered.collect::<String>(),
        format!("<p>{}</p><code>{}</code>", *share.code(), *share.code()),
    ] {
        assert!(Share::parse(text.as_bytes()).unwrap().0 == share.0, "{text}");
    }
    let refused = |words: &[&str]| Share::from_words(words).map(drop).unwrap_err();
    for place in 0..SHARE_WORDS {
        let mut slip = words.clone();
        slip[place] = if slip[place] == "zoo" { "abandon" } else { "zoo" };
        assert!(matches!(refused(&slip), ShareFault::Checksum | ShareFault::Text), "{place}");
        slip[place] = "anchorage";
        assert_eq!(refused(&slip), ShareFault::Word(place + 1));
    }
    let mut swapped = words.clone();
    swapped.swap(14, 15);
    assert!(swapped == words || refused(&swapped) == ShareFault::Checksum);
    assert_eq!(refused(&words[1..]), ShareFault::Words(SHARE_WORDS - 1));
    let two = format!("{} {}", *share.code(), *shares(9, 2, 2)[0].code());
    assert_eq!(Share::parse(two.as_bytes()).map(drop).unwrap_err(), ShareFault::Several);
    for bad in [&b""[..], MARK.as_bytes(), b"\xff", format!("{MARK}{}", "0".repeat(97)).as_bytes()] {
        assert!(Share::parse(bad).is_err(), "{bad:?}");
    }
}

/// The predecessor of the library never chose some coefficients, so that shares said something about the key
/// (RUSTSEC-2024-0398): every byte occurs as a share of every byte, as it must.
#[test]
fn a_share_says_nothing_about_the_key() {
    for secret in [0u8, 255] {
        let mut seen = [false; 256];
        for _ in 0..16_000 {
            let share = blahaj::Sharks(2).dealer(&[secret]).next().unwrap();
            seen[usize::from(Vec::from(&share)[1])] = true;
        }
        assert!(seen.iter().all(|seen| *seen), "{secret}");
    }
}
