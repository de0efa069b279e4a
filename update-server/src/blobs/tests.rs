use std::convert::Infallible;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use futures::{TryStreamExt as _, stream};

use super::*;

const LIMIT: u64 = 32 << 20;

fn parts(bytes: &[u8], len: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    stream::iter(bytes.chunks(len).map(|part| Ok(Bytes::copy_from_slice(part))).collect::<Vec<_>>())
}

fn files(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            names.push(file.unwrap().file_name().into_string().unwrap());
        }
    }
    names.sort();
    names
}

async fn read(blobs: &Blobs, digest: Digest, range: Range<u64>) -> Option<Vec<u8>> {
    let stream = blobs.image(digest).await.unwrap()?.read(range);
    Some(stream.try_collect::<Vec<_>>().await.unwrap().concat())
}

async fn stored_size(blobs: &Blobs, digest: Digest) -> Option<u64> {
    Some(blobs.stored(digest).await.unwrap()?.size())
}

fn is_damaged(read: Result<Option<Image>, BlobError>) -> bool {
    matches!(read, Err(BlobError::Damaged { .. }))
}

#[tokio::test]
async fn what_was_written_is_read_back_in_any_range() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    // More than two parts, so that parts are written while others arrive.
    let image: Vec<u8> = (0..(PART_LEN * 2 + 12_345)).map(|i| i.to_be_bytes()[6]).collect();
    let digest = Digest::of(&image);
    let size = blobs.write(digest, parts(&image, 9_999), LIMIT).await.unwrap();
    assert_eq!(size, image.len() as u64);
    assert_eq!(stored_size(&blobs, digest).await, Some(size));
    let len = image.len();
    for range in [0..len, 0..1, 1..2, len - 1..len, 65_535..200_001, 7..7] {
        let bytes = read(&blobs, digest, range.start as u64..range.end as u64).await.unwrap();
        assert!(bytes == image[range.clone()], "{range:?}");
    }
    assert_eq!(files(dir.path()), [digest.to_string()]);
}

#[tokio::test]
async fn nothing_stays_of_a_refused_upload() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let promised = Digest::of(b"promised");

    let error = blobs.write(promised, parts(b"another", 3), LIMIT).await.unwrap_err();
    assert!(matches!(error, UploadError::Blob(BlobError::DigestMismatch { .. })), "{error:?}");
    assert_eq!(files(dir.path()), [""; 0]);
    // More than once: what is removed later than the answer is not always there to see.
    for _ in 0..50 {
        let error = blobs.write(promised, parts(b"promised", 3), 7).await.unwrap_err();
        assert!(matches!(error, UploadError::Blob(BlobError::TooLong { limit: 7 })), "{error:?}");
        assert_eq!(files(dir.path()), [""; 0]);
        let cut = parts(b"promi", 3).map_err(|never| match never {}).chain(stream::iter([Err("cut")]));
        let error = blobs.write(promised, cut, LIMIT).await.unwrap_err();
        assert!(matches!(error, UploadError::Source("cut")), "{error:?}");
        assert_eq!(files(dir.path()), [""; 0]);
    }

    assert_eq!(stored_size(&blobs, promised).await, None);
    assert!(blobs.image(promised).await.unwrap().is_none());
}

#[tokio::test]
async fn writing_again_makes_a_damaged_image_good_and_a_refused_one_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let digest = Digest::of(b"an image");
    blobs.write(digest, parts(b"an image", 3), LIMIT).await.unwrap();
    let text = digest.to_string();
    fs::write(dir.path().join(&text[..2]).join(&text), b"an i").unwrap();

    let error = blobs.write(digest, parts(b"another", 3), LIMIT).await.unwrap_err();
    assert!(matches!(error, UploadError::Blob(BlobError::DigestMismatch { .. })), "{error:?}");
    assert!(is_damaged(blobs.stored(digest).await) && is_damaged(blobs.image(digest).await));
    assert_eq!(blobs.write(digest, parts(b"an image", 3), LIMIT).await.unwrap(), 8);
    assert_eq!(read(&blobs, digest, 0..8).await.unwrap(), b"an image");
    assert_eq!(files(dir.path()), [text]);
}

#[tokio::test]
async fn an_upload_is_invisible_until_it_is_whole_and_a_dropped_one_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let digest = Digest::of(b"stalled");
    let stalled = parts(b"stal", 2).chain(stream::pending());
    let upload = blobs.write(digest, stalled, LIMIT);
    assert!(tokio::time::timeout(Duration::from_millis(200), upload).await.is_err());
    assert_eq!(stored_size(&blobs, digest).await, None);
    // The staged file is removed off the runtime's thread.
    for _ in 0..100 {
        if files(dir.path()).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(files(dir.path()), [""; 0]);
}

#[tokio::test]
async fn opening_removes_what_a_crash_left() {
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"whole");
    Blobs::open(dir.path()).unwrap().write(digest, parts(b"whole", 9), LIMIT).await.unwrap();
    let folder = dir.path().join(&digest.to_string()[..2]);
    fs::write(folder.join(format!("{digest}#1")), b"half").unwrap();
    fs::write(folder.join(format!("{digest}#17")), b"").unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    assert_eq!(files(dir.path()), [digest.to_string()]);
    assert_eq!(read(&blobs, digest, 0..5).await.unwrap(), b"whole");
}

#[tokio::test]
async fn two_uploads_of_one_image_both_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let digest = Digest::of(b"twice");
    let (first, second) = tokio::join!(
        blobs.write(digest, parts(b"twice", 1), LIMIT),
        blobs.write(digest, parts(b"twice", 2), LIMIT),
    );
    assert_eq!((first.unwrap(), second.unwrap()), (5, 5));
    assert_eq!(files(dir.path()), [digest.to_string()]);
}

#[tokio::test]
async fn never_a_wrong_byte_under_a_digest() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    for len in [0, 1, 100_000, 3 << 20] {
        let image: Vec<u8> = (0..len).map(|i: u32| i.to_be_bytes()[2] ^ 0x5a).collect();
        let digest = Digest::of(&image);
        blobs.write(digest, parts(&image, 1 << 16), LIMIT).await.unwrap();
        let text = digest.to_string();
        let path = dir.path().join(&text[..2]).join(&text);
        if len > 1 << 20 {
            // Remembered, and changed all the same.
            let hour = std::time::SystemTime::now() - Duration::from_secs(3600);
            fs::File::options().write(true).open(&path).unwrap().set_modified(hour).unwrap();
            tokio::time::sleep(Duration::from_millis(1100)).await;
            for _ in 0..2 {
                assert!(read(&blobs, digest, 0..image.len() as u64).await.unwrap() == image);
            }
            // In the middle of a download.
            let mut under_way = blobs.image(digest).await.unwrap().unwrap().read(0..image.len() as u64);
            under_way.next().await.unwrap().unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(b"changed", 2 << 20).unwrap();
            assert!(under_way.try_collect::<Vec<_>>().await.is_err());
        } else if len > 0 {
            fs::File::options().write(true).open(&path).unwrap().write_all_at(b"!", 0).unwrap();
        } else {
            fs::write(&path, b"longer").unwrap();
        }
        assert!(is_damaged(blobs.stored(digest).await), "{len}");
        assert!(is_damaged(blobs.image(digest).await), "{len}");
        // Of another length, too.
        fs::write(&path, b"short").unwrap();
        assert!(is_damaged(blobs.image(digest).await), "{len}");
        assert!(blobs.contains(digest).await.unwrap());

        blobs.write(digest, parts(&image, 1 << 16), LIMIT).await.unwrap();
        assert!(read(&blobs, digest, 0..image.len() as u64).await.unwrap() == image);
    }
}

#[tokio::test]
async fn damage_that_no_file_time_shows_is_found_by_the_scrub() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let images = [vec![0x5a; 1000], vec![0x5a; 1 << 20], vec![0xa5; 1000]];
    let digests = images.each_ref().map(|image| Digest::of(image));
    for (digest, image) in digests.into_iter().zip(&images) {
        blobs.write(digest, parts(image, 1 << 16), LIMIT).await.unwrap();
        blobs.image(digest).await.unwrap().unwrap();
    }
    let path = |digest: Digest| blobs.path(digest);
    for digest in &digests[..2] {
        fs::File::options().write(true).open(path(*digest)).unwrap().write_all_at(b"!", 500).unwrap();
    }
    // As if the disk had done it.
    blobs.known.believe(digests[1], &fs::File::open(path(digests[1])).unwrap());
    for digest in digests {
        assert!(blobs.image(digest).await.unwrap().is_some(), "nothing has been noticed");
    }
    assert_eq!(blobs.damaged(), 0);
    let quickly = scrub(dir.path(), &blobs.known, u32::MAX).unwrap();
    assert_eq!((quickly, blobs.damaged()), (3, 2));
    for digest in &digests[..2] {
        assert!(is_damaged(blobs.image(*digest).await) && is_damaged(blobs.stored(*digest).await));
    }
    assert!(blobs.image(digests[2]).await.unwrap().is_some());

    // Made good, or gone.
    blobs.write(digests[0], parts(&images[0], 1000), LIMIT).await.unwrap();
    assert_eq!(blobs.damaged(), 1);
    fs::remove_file(path(digests[1])).unwrap();
    assert!(blobs.image(digests[1]).await.unwrap().is_none());
    assert_eq!(blobs.damaged(), 0);
    assert_eq!(blobs.scrub().await.unwrap(), 2);
}

#[tokio::test]
async fn a_small_image_is_hashed_once_however_often_somebody_asks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let digest = Digest::of(b"an image");
    blobs.write(digest, parts(b"an image", 3), LIMIT).await.unwrap();
    let path = blobs.path(digest);
    let set_back = || {
        let hour = std::time::SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().write(true).open(&path).unwrap().set_modified(hour).unwrap();
    };
    set_back();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    blobs.stored(digest).await.unwrap().unwrap();
    let bytes = |image: Image| image.in_memory(0..8).unwrap().as_ptr();
    let first = bytes(blobs.stored(digest).await.unwrap().unwrap());
    assert_eq!(bytes(blobs.stored(digest).await.unwrap().unwrap()), first, "the bytes in memory, not others");
    // Another file is another matter.
    fs::write(&path, b"damaged!").unwrap();
    set_back();
    assert!(is_damaged(blobs.stored(digest).await));
}

#[tokio::test]
async fn readers_that_hang_up_keep_few_hashes_running() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let image = vec![0x77; 24 << 20];
    let digest = Digest::of(&image);
    blobs.write(digest, parts(&image, 1 << 20), LIMIT).await.unwrap();
    // Each comes as far as its hash, and goes.
    let hashing = blobs.hashing.clone();
    for left in (0..MAX_HASHING).rev() {
        let reader = blobs.stored(digest);
        tokio::pin!(reader);
        while hashing.available_permits() > left {
            assert!(futures::poll!(&mut reader).is_pending());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(hashing.available_permits(), 0, "their hashes run on, and keep their places");
    assert!(blobs.stored(digest).await.unwrap().is_some());
}

/// Puts something that is no file into the place of a file.
fn obstruct(path: &Path, kind: &str) {
    match kind {
        "a folder" => fs::create_dir(path).unwrap(),
        "a symbolic link" => std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        _ => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
    }
}

#[tokio::test]
async fn what_lies_in_the_way_of_an_image_is_named_and_stays() {
    for kind in ["a folder", "a symbolic link", "a pipe"] {
        for of_the_folder in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let blobs = Blobs::open(dir.path()).unwrap();
            let digest = Digest::of(b"an image");
            let place = blobs.path(digest);
            let way = if of_the_folder { place.parent().unwrap().to_owned() } else { place.clone() };
            if of_the_folder && kind == "a folder" {
                // The place of a folder takes a folder; a file is in the way there.
                fs::write(&way, b"").unwrap();
            } else {
                fs::create_dir_all(way.parent().unwrap()).unwrap();
                obstruct(&way, kind);
            }
            let kind = if of_the_folder && kind == "a folder" { "a file" } else { kind };
            let is_named = |error: &BlobError| matches!(error, BlobError::Obstructed { path, kind: named } if *path == way && *named == kind);
            assert!(is_named(&blobs.image(digest).await.unwrap_err()), "{kind}");
            assert_eq!(blobs.damaged(), 1, "{kind}");
            assert!(is_named(&blobs.contains(digest).await.unwrap_err()), "{kind}");
            match blobs.write(digest, parts(b"an image", 3), LIMIT).await.unwrap_err() {
                UploadError::Blob(error) => assert!(is_named(&error), "{kind}: {error}"),
                UploadError::Source(never) => match never {},
            }
            assert_eq!(
                blobs.check().await.is_err(),
                of_the_folder,
                "{kind}: no image of that folder can be kept"
            );
            let left = fs::symlink_metadata(&way).unwrap();
            assert_eq!(kind_of(left.file_type()), kind);
            let beside = fs::read_dir(way.parent().unwrap()).unwrap().count();
            assert_eq!(beside, 1, "nothing else is left");
            // Found by the scrub too, which hangs on no pipe.
            let blobs = Blobs::open(dir.path()).unwrap();
            scrub(dir.path(), &blobs.known, u32::MAX).unwrap();
            assert_eq!(blobs.damaged(), usize::from(!of_the_folder), "{kind}");
            // What a whole folder hides is found by who looks for what the releases name.
            assert!(blobs.contains(digest).await.is_err());
            assert_eq!(blobs.damaged(), 1, "{kind}");

            let removed = if kind == "a folder" { fs::remove_dir(&way) } else { fs::remove_file(&way) };
            removed.unwrap();
            blobs.write(digest, parts(b"an image", 3), LIMIT).await.unwrap();
            assert_eq!(read(&blobs, digest, 0..8).await.unwrap(), b"an image");
            assert_eq!(blobs.damaged(), 0);
        }
    }
}

#[tokio::test]
async fn the_probe_of_readiness_opens_nothing_that_lies_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, b"precious").unwrap();
    let probe = dir.path().join(PROBE_FILE);
    std::os::unix::fs::symlink(&victim, &probe).unwrap();
    blobs.check().await.unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    obstruct(&probe, "a pipe");
    blobs.check().await.unwrap();
    obstruct(&probe, "a folder");
    let refused = blobs.check().await;
    assert!(matches!(refused, Err(BlobError::Unwritable { path, .. }) if path == probe));
}

#[tokio::test]
async fn only_unfinished_uploads_are_removed_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"whole");
    let folder = dir.path().join(&digest.to_string()[..2]);
    fs::create_dir(&folder).unwrap();
    fs::create_dir(folder.join(format!("{digest}#1"))).unwrap();
    fs::write(folder.join("notes#1"), b"").unwrap();
    fs::write(folder.join(format!("{digest}#2")), b"").unwrap();
    Blobs::open(dir.path()).unwrap();
    assert_eq!(files(dir.path()), [&format!("{digest}#1"), "notes#1"]);
}

#[tokio::test]
async fn small_images_come_from_a_memory_that_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let image = |seed: u32| {
        let mut image = vec![0x33; 500_000];
        image[..4].copy_from_slice(&seed.to_be_bytes());
        image
    };
    // 70 MB, where 64 MiB are kept.
    let digests: Vec<_> = (0..140).map(|seed| Digest::of(&image(seed))).collect();
    for (seed, digest) in (0..).zip(&digests) {
        blobs.write(*digest, parts(&image(seed), 1 << 19), LIMIT).await.unwrap();
        blobs.image(*digest).await.unwrap().unwrap();
    }
    assert!(blobs.known.cached(digests[0]).is_none(), "the oldest made room");
    assert!(blobs.known.cached(digests[139]).is_some());
    // What is in memory held when it came in, until somebody looks at the disk.
    let text = digests[139].to_string();
    fs::write(dir.path().join(&text[..2]).join(&text), b"damaged").unwrap();
    assert!(read(&blobs, digests[139], 0..500_000).await.unwrap() == image(139));
    assert!(is_damaged(blobs.stored(digests[139]).await));
    assert!(is_damaged(blobs.image(digests[139]).await));
}
