//! What the index of offers costs with many releases: its making at the start, its making after a revocation list,
//! and one `latest`. One JSON object a line; `cargo xtask bench --server` runs it.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use suit_manifest::author::{self, UpdateDescription};
use trust::author::{CredentialRequest, RevocationRequest, ScopeRequest, Signer as _, SoftwareKey};
use trust::{Anchor, RevokedId, Role, TrustStore, UnixTime};
use update_server::blobs::Blobs;
use update_server::domain::catalogue::{Audience, Catalogue, Release};
use update_server::domain::installs::Installs;
use update_server::domain::records::Records;
use update_server::domain::{Identifier, unix_now};
use update_server::store::{NewEnvelope, Store};

const RELEASES: u64 = 10_000;
/// Writes that are under way together.
const WRITES: usize = 256;
const ANSWERS: u32 = 10_000;
const VENDOR: [u8; 16] = *b"vendor-of-bench!";
const CLASS: [u8; 16] = *b"class-of-benches";

/// Of whom the releases are.
#[derive(Clone, Copy)]
enum Kind {
    /// For all devices; all but one are signed by a key that is revoked.
    Revoked,
    /// Each for another single device.
    SingleDevice,
}

struct Key {
    key: SoftwareKey,
    credential: Vec<u8>,
}

fn release_key(root: &SoftwareKey) -> Key {
    let key = SoftwareKey::generate().unwrap();
    let scope = ScopeRequest { vendor: VENDOR, classes: vec![CLASS], serials: Vec::new(), actions: None };
    let request = CredentialRequest {
        iss: "root".into(),
        sub: "release".into(),
        key: key.public_key(),
        role: Role::Release,
        scope,
        issued_at: UnixTime(unix_now()),
        not_before: None,
        expires: None,
        cti: trust::author::random_cti().unwrap(),
        generation: 0,
        sequence_ceiling: None,
    };
    let credential = trust::author::issue_credential(&request, root).unwrap();
    Key { key, credential }
}

fn release(sequence: u64, device: Option<[u8; 16]>, by: &Key, anchors: &[Anchor]) -> NewEnvelope {
    let description = UpdateDescription {
        vendor: VENDOR,
        class: CLASS,
        device,
        sequence,
        version: format!("1.0.{sequence}"),
        image_digest: [7; 32],
        image_size: 1000,
        uri: "ni:///sha-256;bench".into(),
        ..UpdateDescription::default()
    };
    let unsigned = author::create(&description).unwrap();
    let bytes = author::sign(&unsigned, &by.key, &by.credential).unwrap();
    let read = Release::read(&bytes, &TrustStore::new(anchors), unix_now()).unwrap();
    NewEnvelope {
        manifest_digest: read.manifest_digest,
        vendor: Identifier(VENDOR),
        class: Identifier(CLASS),
        target: Installs::Firmware,
        sequence,
        bytes: bytes.into(),
        published_at: unix_now(),
    }
}

async fn measure(kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::connect(&dir.path().join("registry.sqlite")).await.unwrap();
    let blobs = Arc::new(Blobs::open(&dir.path().join("images")).unwrap());
    let root = SoftwareKey::generate().unwrap();
    let anchors = [Anchor::root(root.public_key())];
    let (lost, kept) = (release_key(&root), release_key(&root));
    let envelopes: Vec<_> = (1..=RELEASES)
        .map(|sequence| {
            let mut device = [0; 16];
            device[..8].copy_from_slice(&sequence.to_be_bytes());
            match (sequence, kind) {
                (1, _) => release(sequence, None, &kept, &anchors),
                (_, Kind::Revoked) => release(sequence, None, &lost, &anchors),
                (_, Kind::SingleDevice) => release(sequence, Some(device), &kept, &anchors),
            }
        })
        .collect();
    let bytes = envelopes[1].bytes.len();
    let began = Instant::now();
    for group in envelopes.chunks(WRITES) {
        let writes = group.iter().map(|envelope| store.insert_envelope(envelope.clone()));
        futures::future::join_all(writes).await.into_iter().for_each(|written| {
            written.unwrap();
        });
    }
    let stored = began.elapsed();

    let records = Records::open(store.clone(), anchors.to_vec()).await.unwrap();
    let began = Instant::now();
    let catalogue = Catalogue::open(store, blobs, records.clone(), unix_now()).await.unwrap();
    let opened = began.elapsed();

    let revoked = match kind {
        Kind::Revoked => vec![RevokedId::Key(lost.key.public_key().kid()).revoked(Role::Release, 0)],
        Kind::SingleDevice => Vec::new(),
    };
    let list = RevocationRequest {
        iss: "root".into(),
        issued_at: UnixTime(unix_now()),
        sequence: 1,
        revoked,
        lowest_generations: Vec::new(),
        minimum_sequences: Vec::new(),
    };
    let list = trust::author::sign_revocation(&list, &root).unwrap();
    let began = Instant::now();
    records.put_list(list, unix_now()).await.unwrap();
    catalogue.bring_up_to(unix_now()).await.unwrap();
    let listed = began.elapsed();

    let audience = Audience {
        vendor: Identifier(VENDOR),
        class: Identifier(CLASS),
        target: Installs::Firmware,
        device: None,
    };
    let began = Instant::now();
    for _ in 0..ANSWERS {
        let latest = catalogue.latest(audience, unix_now()).await.unwrap();
        assert_eq!(latest.sequence, 1, "the one that is offered to all");
    }
    let answer = began.elapsed() / ANSWERS;
    let releases = match kind {
        Kind::Revoked => "for all devices, all but one revoked",
        Kind::SingleDevice => "for single devices, all but one",
    };
    println!(
        "{}",
        json!({
            "releases": RELEASES,
            "of_them": releases,
            "envelope_bytes": bytes,
            "stored_seconds": stored.as_secs_f64(),
            "made_at_start_seconds": opened.as_secs_f64(),
            "made_after_list_seconds": listed.as_secs_f64(),
            "latest_microseconds": answer.as_secs_f64() * 1e6,
        })
    );
}

fn main() {
    // `cargo test --benches` starts it with other words.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        measure(Kind::Revoked).await;
        measure(Kind::SingleDevice).await;
    });
}
