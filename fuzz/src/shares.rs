//! Shares of a key as people bring them: a page, words, what a scanner made of a QR code. What is read is written as it
//! was, and no set of forged shares makes a key that they do not name.

use manifest_tool::shares::{SHARE_LEN, Share, combine, split};
use trust::author::{Signer as _, SoftwareKey};

/// Bytes of a share before its checksum.
const CHECKED_LEN: usize = SHARE_LEN - 4;

fn holds(share: &Share) {
    let again = Share::parse(share.code().as_bytes());
    assert!(again.is_ok_and(|again| *again.code() == *share.code()));
    let again = Share::from_words(&share.words());
    assert!(again.is_ok_and(|again| *again.code() == *share.code()));
}

/// The bytes as a file; and as contents of shares, with the checksums that no mutation hits.
pub(crate) fn share(data: &[u8]) -> bool {
    let file = Share::parse(data);
    file.iter().for_each(holds);
    let shares = data.chunks_exact(CHECKED_LEN).filter_map(|content| {
        let checksum = trust::sha256(content);
        let text = format!("ANCHORAGE-SHARE:{}{}", hex::encode(content), hex::encode(&checksum[..4]));
        Share::parse(text.as_bytes()).ok()
    });
    let shares: Vec<Share> = shares.collect();
    shares.iter().for_each(holds);
    if let Ok((_, key)) = combine(&shares) {
        assert_eq!(key.public_key().kid(), shares[0].kid());
    }
    file.is_ok() || !shares.is_empty()
}

pub(crate) fn share_seeds() -> Vec<Vec<u8>> {
    let seed = [7; 32];
    let key = SoftwareKey::from_seed(&seed).unwrap();
    let shares = split(&seed.into(), &key.public_key(), 2, 3).unwrap();
    let content = |share: &Share| {
        let mut bytes = hex::decode(share.code().trim_start_matches("ANCHORAGE-SHARE:")).unwrap();
        bytes.truncate(CHECKED_LEN);
        bytes
    };
    vec![
        shares[0].code().as_bytes().to_vec(),
        shares[1].words().join(" ").into_bytes(),
        shares[1..].iter().flat_map(content).collect(),
    ]
}
