use super::*;

const IMAGE: &[u8] = b"an image";

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("cache"));
    (folder, cache)
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn store(cache: &Cache, bytes: &[u8], name: &[u8; 32]) -> Option<Vec<u8>> {
    let mut partial = cache.partial_image(name).unwrap().unwrap();
    partial.append(bytes).unwrap();
    cache.finish_image(partial, name, bytes.len() as u64).unwrap()
}

#[test]
fn an_image_is_found_by_its_digest() {
    let (_folder, cache) = cache();
    let name = digest(IMAGE);
    assert_eq!(cache.image(&name, 8).unwrap(), None);
    assert_eq!(store(&cache, IMAGE, &name).as_deref(), Some(IMAGE));
    assert_eq!(cache.image(&name, 8).unwrap().as_deref(), Some(IMAGE));
}

#[test]
fn a_damaged_image_is_deleted_and_not_used() {
    let (_folder, cache) = cache();
    let name = digest(IMAGE);
    store(&cache, IMAGE, &name);
    for damage in [&b"an imagE"[..], b"an imag", b"an image!", b""] {
        fs::write(cache.image_path(&name), damage).unwrap();
        assert_eq!(cache.image(&name, 8).unwrap(), None, "{damage:?}");
        assert!(!cache.image_path(&name).exists());
    }
}

#[test]
fn what_was_fetched_is_there_for_the_next_run() {
    let (_folder, cache) = cache();
    let name = digest(IMAGE);
    let mut partial = cache.partial_image(&name).unwrap().unwrap();
    partial.append(&IMAGE[..3]).unwrap();
    drop(partial);
    let mut partial = cache.partial_image(&name).unwrap().unwrap();
    assert_eq!(partial.len(), 3);
    partial.append(&IMAGE[3..]).unwrap();
    assert_eq!(cache.finish_image(partial, &name, 8).unwrap().as_deref(), Some(IMAGE));
}

#[test]
fn a_fetch_of_something_else_leaves_nothing() {
    let (_folder, cache) = cache();
    let name = digest(IMAGE);
    assert_eq!(store(&cache, b"an imposter", &name), None);
    assert_eq!(cache.image(&name, 8).unwrap(), None);
    assert!(cache.partial_image(&name).unwrap().unwrap().is_empty());
}

#[test]
fn two_programs_do_not_fetch_into_one_file() {
    let (_folder, cache) = cache();
    let name = digest(IMAGE);
    let first = cache.partial_image(&name).unwrap().unwrap();
    assert!(cache.partial_image(&name).unwrap().is_none());
    drop(first);
    assert!(cache.partial_image(&name).unwrap().is_some());
}

#[test]
fn an_envelope_is_kept_under_the_digest_it_has() {
    let (_folder, cache) = cache();
    cache.keep_envelope(b"envelope").unwrap();
    assert_eq!(cache.envelope(&digest(b"envelope")).unwrap().as_deref(), Some(&b"envelope"[..]));
    fs::write(cache.envelope_path(&digest(b"envelope")), b"envelopE").unwrap();
    assert_eq!(cache.envelope(&digest(b"envelope")).unwrap(), None);
}

fn kind(class: u128, device: u128) -> Kind {
    Kind {
        vendor: Uuid::from_u128(1),
        class: Uuid::from_u128(class),
        device: Uuid::from_u128(device),
        shelf: Shelf::Firmware,
    }
}

fn latest(sequence: u64, device: Option<u128>) -> Latest {
    let device = device.map(Uuid::from_u128);
    let digest = "11".repeat(32);
    let image = serde_json::json!({"sha256": digest, "size": 1});
    let object = serde_json::json!({"manifest_digest": digest, "envelope_sha256": digest,
        "sequence": sequence, "device": device, "image": image});
    Latest::read(object.to_string().into_bytes()).unwrap()
}

#[test]
fn what_was_withdrawn_before_the_last_fetch_is_not_kept() {
    for (withdrawn, last) in [(Some(3), None), (None, Some(3))] {
        let (_folder, cache) = cache();
        let found = || cache.release_objects("http://a", &kind(2, 3)).unwrap();
        cache.keep_release_object("http://a", &kind(2, 3), &latest(6, withdrawn)).unwrap();
        cache.keep_release_object("http://a", &kind(2, 3), &latest(5, last)).unwrap();
        assert_eq!(found(), [latest(5, last).object]);
        cache.keep_release_object("http://a", &kind(2, 3), &latest(7, withdrawn)).unwrap();
        assert_eq!(found().len(), 2);
        cache.keep_release_object("http://a", &kind(2, 3), &latest(6, last)).unwrap();
        assert_eq!(found(), [latest(6, last).object]);
    }
}

/// docs/attacks.md, HOST52.
#[test]
fn host52_a_kept_table_is_no_kept_firmware() {
    let (_folder, cache) = cache();
    let [tables, both] = [Shelf::Table, Shelf::Both].map(|shelf| Kind { shelf, ..kind(2, 3) });
    let found = |kind| cache.release_objects("http://a", &kind).unwrap();
    for device in [None, Some(3)] {
        for (kind, sequence) in [(kind(2, 3), 5), (tables, 9), (both, 7)] {
            cache.keep_release_object("http://a", &kind, &latest(sequence, device)).unwrap();
        }
        assert_eq!(found(kind(2, 3)).first(), Some(&latest(5, device).object));
        assert_eq!(found(tables).first(), Some(&latest(9, device).object));
        assert_eq!(found(both).first(), Some(&latest(7, device).object));
    }
    cache.forget_release_objects("http://a", &tables).unwrap();
    assert_eq!([kind(2, 3), tables, both].map(|kind| found(kind).len()), [2, 0, 2]);
}

#[test]
fn release_objects_are_apart_by_server_class_and_device() {
    let (_folder, cache) = cache();
    cache.keep_release_object("http://a", &kind(2, 3), &latest(5, None)).unwrap();
    cache.keep_release_object("http://a", &kind(2, 3), &latest(6, Some(3))).unwrap();
    let found = |server, kind| cache.release_objects(server, &kind).unwrap();
    assert_eq!(found("http://a", kind(2, 3)), [latest(6, Some(3)).object, latest(5, None).object]);
    // What is for the class is for the other devices of it too; what is for one device is not.
    assert_eq!(found("http://a", kind(2, 4)), [latest(5, None).object]);
    assert!(found("http://a", kind(9, 3)).is_empty());
    assert!(found("http://b", kind(2, 3)).is_empty());
}

#[test]
fn a_digest_is_64_lowercase_hex_digits() {
    let hex = "0123456789abcdef".repeat(4);
    assert!(digest_of_hex(&hex).is_some());
    for bad in [&hex[1..], "", &hex.to_uppercase(), &format!("{hex}0"), &hex.replace('0', "/")] {
        assert_eq!(digest_of_hex(bad), None, "{bad}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Cache::new(file.path().to_owned()).keep_envelope(b"x").unwrap_err();
    assert!(matches!(&error, Error::Write { path, .. } if path.starts_with(file.path())), "{error}");
    assert_eq!(error.exit_code(), 3);
}

/// Not a folder that cannot be written, which is a warning.
#[test]
fn a_data_folder_that_is_a_file_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = DataDirs::new(Some(file.path())).map(drop).unwrap_err();
    assert_eq!((error.code().as_ref(), error.exit_code()), ("file-write", 3));
}

/// The whole way of a download whose name somebody else has taken.
#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_download_overwrites_nothing() {
    let (folder, cache) = cache();
    let victim = folder.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    let name = digest(IMAGE);
    fs::create_dir_all(folder.path().join("cache/images")).unwrap();
    std::os::unix::fs::symlink(&victim, cache.image_path(&name).with_extension("part")).unwrap();
    assert_eq!(cache.partial_image(&name).unwrap_err().code(), "file-write");
    assert_eq!(fs::read(victim).unwrap(), b"precious");
}

#[test]
fn successions_are_read_back_in_their_order() {
    let (_folder, cache) = cache();
    let domain = Domain(trust::Kid([7; 8]));
    let number =
        |recovery_epoch, succession_sequence| SuccessionNumber { recovery_epoch, succession_sequence };
    assert_eq!(cache.successions(domain).unwrap(), [b""; 0]);
    for (number, record) in
        [(number(1, 0), b"c"), (number(0, 10), b"b"), (number(0, 2), b"a"), (number(0, 2), b"a")]
    {
        cache.keep_succession(domain, number, record).unwrap();
    }
    let folder = cache.successions_path(domain);
    for name in ["note", "1", "01.0", "1.x", "70000.1"] {
        fs::write(folder.join(name), b"of somebody else").unwrap();
    }
    assert_eq!(cache.successions(domain).unwrap(), [b"a", b"b", b"c"]);
    // A damaged one is replaced by what was verified.
    fs::write(folder.join("0.2"), b"x").unwrap();
    cache.keep_succession(domain, number(0, 2), b"a").unwrap();
    assert_eq!(cache.successions(domain).unwrap()[0], b"a");
    assert_eq!(cache.device_trust(Uuid::nil()).unwrap(), None);
    cache.keep_device_trust(Uuid::nil(), b"report").unwrap();
    assert_eq!(cache.device_trust(Uuid::nil()).unwrap().unwrap(), b"report");
}
