//! Writes CBOR and COSE byte by byte, so that the tests can make what no author would.

use trust::author::{Signer as _, SoftwareKey};

fn head(major: u8, argument: usize) -> Vec<u8> {
    match argument {
        0..24 => vec![major << 5 | u8::try_from(argument).unwrap()],
        24..0x100 => vec![major << 5 | 24, u8::try_from(argument).unwrap()],
        0x100..0x1_0000 => [&[major << 5 | 25][..], &u16::try_from(argument).unwrap().to_be_bytes()].concat(),
        0x1_0000..0x1_0000_0000 => {
            [&[major << 5 | 26][..], &u32::try_from(argument).unwrap().to_be_bytes()].concat()
        }
        _ => [&[major << 5 | 27][..], &argument.to_be_bytes()].concat(),
    }
}

pub(super) fn int(value: i64) -> Vec<u8> {
    if value < 0 {
        head(1, usize::try_from(-1 - value).unwrap())
    } else {
        head(0, usize::try_from(value).unwrap())
    }
}

pub(super) fn bstr(content: &[u8]) -> Vec<u8> {
    [head(2, content.len()), content.to_vec()].concat()
}

pub(super) fn tstr(content: &str) -> Vec<u8> {
    [head(3, content.len()), content.as_bytes().to_vec()].concat()
}

pub(super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len()), items.concat()].concat()
}

/// Entries in the order that is given, right or wrong.
pub(super) fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = head(5, entries.len());
    for (key, value) in entries {
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    out
}

pub(super) fn tag(number: usize, item: &[u8]) -> Vec<u8> {
    [head(6, number), item.to_vec()].concat()
}

pub(super) const NIL: [u8; 1] = [0xf6];

/// The bytes that are signed, RFC 9052 section 4.4.
pub(super) fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    array(&[tstr("Signature1"), bstr(protected), bstr(&[]), bstr(payload)])
}

/// Parts of a COSE_Sign1, each as it will stand there.
#[derive(Clone)]
pub(super) struct Sign1 {
    pub(super) protected: Vec<u8>,
    pub(super) unprotected: Vec<u8>,
    /// The payload item.
    pub(super) payload: Vec<u8>,
    /// What is signed as payload.
    pub(super) signed: Vec<u8>,
}

impl Sign1 {
    /// A record whose payload is `claims`.
    pub(super) fn record(signer: &SoftwareKey, typ: &str, claims: &[u8]) -> Self {
        Self {
            protected: protected(signer, Some(typ)),
            unprotected: map(&[]),
            payload: bstr(claims),
            signed: claims.to_vec(),
        }
    }

    /// A chained signature over `payload`.
    pub(super) fn chained(signer: &SoftwareKey, credential: &[u8], payload: &[u8]) -> Self {
        Self {
            protected: protected(signer, None),
            unprotected: map(&[(int(13), credential.to_vec())]),
            payload: NIL.to_vec(),
            signed: payload.to_vec(),
        }
    }

    /// Signed, with tag 18.
    pub(super) fn sign(&self, signer: &SoftwareKey) -> Vec<u8> {
        let signature = signer.sign(&sig_structure(&self.protected, &self.signed)).unwrap();
        self.with_signature(&bstr(&signature))
    }

    /// Signed, with tags 61 and 18.
    pub(super) fn cwt(&self, signer: &SoftwareKey) -> Vec<u8> {
        tag(61, &self.sign(signer))
    }

    /// With this signature item.
    pub(super) fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        tag(
            18,
            &array(&[
                bstr(&self.protected),
                self.unprotected.clone(),
                self.payload.clone(),
                signature.to_vec(),
            ]),
        )
    }
}

pub(super) fn protected(signer: &SoftwareKey, typ: Option<&str>) -> Vec<u8> {
    let mut entries = vec![(int(1), int(-19)), (int(4), bstr(&signer.public_key().kid().0))];
    entries.extend(typ.map(|typ| (int(16), tstr(typ))));
    map(&entries)
}

/// Claims of a credential like the good one, as entries to be changed.
pub(super) fn credential_claims(key: &SoftwareKey) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (int(1), tstr("Example root")),
        (int(2), tstr("Example release")),
        (int(6), int(1_700_000_000)),
        (int(7), bstr(&[0x77; 16])),
        (int(8), map(&[(int(1), key.public_key().to_cose_key().to_vec())])),
        (int(-70001), int(1)),
        (int(-70002), map(&[(int(1), bstr(&[0xa1; 16]))])),
        (int(-70006), int(0)),
        (int(-70007), int(1000)),
    ]
}

/// Claims of a revocation list, as entries to be changed.
pub(super) fn revocation_claims() -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (int(1), tstr("Example root")),
        (int(6), int(1_700_000_000)),
        (int(-70003), int(3)),
        (int(-70004), array(&[])),
        (int(-70008), map(&[])),
    ]
}

/// Claims of a succession of the domain of `root` by `key`, as entries to be changed.
pub(super) fn succession_claims(root: &SoftwareKey, key: &SoftwareKey) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (int(1), tstr("Example root 2")),
        (int(6), int(1_700_000_000)),
        (int(8), map(&[(int(1), key.public_key().to_cose_key().to_vec())])),
        (int(-70009), bstr(&root.public_key().kid().0)),
        (int(-70010), int(1)),
        (int(-70011), int(0)),
        (int(-70012), int(7)),
    ]
}

/// A succession with these claims, as a careless author would sign it.
pub(super) fn succession(claims: &[(Vec<u8>, Vec<u8>)], key: &SoftwareKey, grantor: &SoftwareKey) -> Vec<u8> {
    let request = Sign1::record(key, SUCCESSION, &map(claims)).cwt(key);
    Sign1::record(grantor, SUCCESSION_GRANT, &request).cwt(grantor)
}

pub(super) const SUCCESSION: &str = "anchorage-succession+cwt";
pub(super) const SUCCESSION_GRANT: &str = "anchorage-succession-grant+cwt";
pub(super) const CREDENTIAL: &str = "anchorage-credential+cwt";
pub(super) const REVOCATION: &str = "anchorage-revocation+cwt";
