//! What people hand to the tools: firmware, public keys, places of private keys. An image fits the limit, a key reads the
//! same when it is written again, and no place has a PIN in it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use base64ct::{Base64, Encoding as _};
use device_harness::factory::Factory;
use manifest_tool::image::{Format, MAX_IMAGE_LEN, Options, make};
use manifest_tool::keys::Place;
use trust::PublicKey;
use trust::host::{parse_public_key, to_ssh_line};

/// The bytes as a firmware file, as a key file, and as the place of a key.
pub(crate) fn files(data: &[u8]) -> bool {
    let mut taken = false;
    let forms = [Format::Elf, Format::Hex, Format::Srec].map(|format| (Some(format), Some(0x1000..0x2000)));
    for (format, range) in [(None, None)].into_iter().chain(forms) {
        if let Ok(image) = make(data, &Options { format, range, any_content: true, ..Options::default() }) {
            taken = true;
            assert!(!image.bytes.is_empty() && image.bytes.len() as u64 <= MAX_IMAGE_LEN);
        }
    }
    if let Ok(key) = parse_public_key(data) {
        taken = true;
        assert_eq!(PublicKey::from_cose_key(&key.to_cose_key()), Ok(key));
        assert_eq!(parse_public_key(to_ssh_line(&key, "comment").as_bytes()).ok(), Some(key));
    }
    let place = Place::parse(&OsString::from_vec(data.to_vec()));
    if let Ok(Place::Token(_)) = place {
        taken = true;
        assert!(!data.windows(9).any(|window| window == b"pin-value"));
    }
    taken
}

pub(crate) fn files_seeds() -> Vec<Vec<u8>> {
    let anchor = Factory::new(1).anchor();
    let key = anchor.key();
    let spki =
        [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], key.as_bytes()]
            .concat();
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0\x01\0\0\0".to_vec();
    for word in [0u32, 52, 0, 0, 0x0020_0034, 0x0028_0001, 0, 1, 84, 0x1000, 0x1000, 16, 16, 5, 4] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0x2001_0000u32, 0x1009, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
    vec![
        key.to_cose_key().to_vec(),
        pem(&spki).into_bytes(),
        spki,
        to_ssh_line(key, "root").into_bytes(),
        b"pkcs11:token=a%20b;object=root;id=%01?module-path=/m.so&pin-source=file:/pin".to_vec(),
        b"\xef\xbb\xbf; comment\r\n:041000007465787427\r\n:00000001FF\r\n".to_vec(),
        b"S00600004844521B\nS10710007465787423\nS9030000FC\n".to_vec(),
        elf,
    ]
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", Base64::encode_string(der))
}
