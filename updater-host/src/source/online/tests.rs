use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use trust::Anchor;
use trust::author::{Signer as _, SoftwareKey};

use super::*;
use crate::release::tests::{IMAGE, Made, device, trusted};
use crate::server::tests::fake::{self, Answer, FakeServer};
use crate::trusted::tests::{key, list, number, realm, revoking, succession};

mod both;

fn root(number: u8) -> SoftwareKey {
    SoftwareKey::from_seed(&[number; 32]).unwrap()
}

/// As update-server says that it has no list of a root.
fn no_list() -> Answer {
    Answer::new(404, br#"{"code":"revocation-list-unknown"}"#.to_vec())
}

/// The same, of a server that knows no succession either.
fn nothing(request: &fake::Request) -> Answer {
    if request.path.starts_with("/v1/successions/") {
        return Answer::new(404, br#"{"code":"domain-unknown"}"#.to_vec());
    }
    no_list()
}

/// A cache, and a trust store with the roots 1 and 2.
struct Bench {
    folder: tempfile::TempDir,
    cache: Cache,
    trusted: TrustStoreBuf,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let trusted = TrustStoreBuf::new([1, 2].map(|number| Anchor::root(root(number).public_key())));
        Self { folder, cache, trusted }
    }

    /// Asks a server that gives this answer for root 1 and has nothing for root 2.
    async fn ask(&mut self, answer: impl Fn() -> Answer + Send + 'static) -> Result<(), Error> {
        let path = format!("/v1/revocations/{}", hex::encode(root(1).public_key().kid().0));
        self.ask_for(move |request| if request.path == path { answer() } else { nothing(request) }).await
    }

    async fn ask_for(
        &mut self,
        answer: impl Fn(&fake::Request) -> Answer + Send + 'static,
    ) -> Result<(), Error> {
        let server = FakeServer::start(answer);
        let server = Server::new(&server.url(), None, None).map(|client| (client, server)).unwrap();
        let output = Output::new(true, false);
        let online = Online { server: &server.0, cache: &self.cache, output: &output };
        let mut records = Records::default();
        fetched_records(&self.cache, &self.trusted, &mut records)?;
        records.add_to(&mut self.trusted, &output)?;
        fetch_records(&online, &mut self.trusted).await
    }

    fn kept(&self, number: u8) -> Option<Vec<u8>> {
        self.cache.revocation_list(Domain(root(number).public_key().kid())).unwrap()
    }

    fn sequences(&self) -> Vec<u64> {
        self.trusted.lists().map(|list| list.sequence()).collect()
    }
}

#[tokio::test]
async fn the_list_of_another_anchor_takes_no_place() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    let error = bench.ask(|| Answer::ok(list(&root(2), 9))).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.exit_code()), ("server-answer", 7));
    assert_eq!((bench.kept(1), bench.kept(2)), (Some(list(&root(1), 5)), None));
}

/// Another program that answers at this address says nothing of lists, and the manufacturer is not to blame.
#[tokio::test]
async fn what_is_no_list_is_the_servers_fault() {
    let mut bench = Bench::new();
    for body in [&b"{}"[..], b"", b"<html>"] {
        let error = bench.ask(|| Answer::ok(body.to_vec())).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.exit_code()), ("server-answer", 7), "{body:?}");
    }
}

#[tokio::test]
async fn a_fetched_list_is_kept_whatever_else_is_held() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    add_list(&mut bench.trusted, "a file", list(&root(1), 7)).unwrap();
    bench.ask(|| Answer::ok(list(&root(1), 6))).await.unwrap();
    assert_eq!((bench.kept(1), bench.sequences()), (Some(list(&root(1), 6)), vec![7]));
    // An older one than that is not.
    bench.ask(|| Answer::ok(list(&root(1), 4))).await.unwrap();
    assert_eq!(bench.kept(1), Some(list(&root(1), 6)));
}

#[tokio::test]
async fn a_list_that_was_fetched_once_counts_when_the_server_has_none() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    for answer in [no_list, || Answer::new(503, vec![]), Answer::hang_up] {
        bench.trusted = TrustStoreBuf::new(bench.trusted.anchors().to_vec());
        bench.ask(answer).await.unwrap();
        assert_eq!(bench.sequences(), [5]);
    }
}

#[tokio::test]
async fn a_damaged_list_in_the_cache_does_not_count_and_is_replaced() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(list(&root(1), 5))).await.unwrap();
    let kid = hex::encode(root(1).public_key().kid().0);
    for damage in [list(&root(3), 9), b"rubbish".to_vec()] {
        std::fs::write(bench.folder.path().join("revocations").join(&kid), damage).unwrap();
        bench.trusted = TrustStoreBuf::new(bench.trusted.anchors().to_vec());
        bench.ask(|| Answer::ok(list(&root(1), 6))).await.unwrap();
        assert_eq!((bench.kept(1), bench.sequences()), (Some(list(&root(1), 6)), vec![6]));
    }
}

/// What was fetched once counts as much as a file: of two lists that contradict each other neither is chosen.
#[tokio::test]
async fn a_list_in_the_cache_that_contradicts_a_file_is_refused() {
    let mut bench = Bench::new();
    bench.ask(|| Answer::ok(revoking(&root(1), 5))).await.unwrap();
    for (number, code) in [(5, "revocation-forked"), (4, ""), (6, "revocation-drops-entry")] {
        bench.trusted = TrustStoreBuf::new(bench.trusted.anchors().to_vec());
        add_list(&mut bench.trusted, "a file", list(&root(1), number)).unwrap();
        let outcome = bench.ask(no_list).await;
        assert_eq!(outcome.err().map(|error| error.code()).unwrap_or_default(), code);
    }
}

/// A page of successions, in the form of update-server.
fn page(records: &[Vec<u8>]) -> Answer {
    let object = |record: &Vec<u8>| {
        let number = read_unverified_succession(record).unwrap().number();
        serde_json::json!({
            "recovery_epoch": number.recovery_epoch, "succession_sequence": number.succession_sequence,
            "record": hex::encode(record),
        })
    };
    let successions: Vec<_> = records.iter().map(object).collect();
    Answer::ok(serde_json::json!({ "successions": successions }).to_string().into_bytes())
}

/// A server with one succession a page.
fn succeeding(records: &[Vec<u8>]) -> impl Fn(&fake::Request) -> Answer + Send + 'static {
    let records = records.to_vec();
    move |request| {
        let Some((_, after)) = request.path.split_once("?after=") else { return nothing(request) };
        let is_after = |record: &&Vec<u8>| {
            read_unverified_succession(record).unwrap().number().to_string().as_str() > after
        };
        page(records.iter().find(is_after).map(std::slice::from_ref).unwrap_or_default())
    }
}

type Answering = Box<dyn Fn(&fake::Request) -> Answer + Send>;

fn in_realm() -> Bench {
    Bench { trusted: realm(), ..Bench::new() }
}

fn root_number(bench: &Bench) -> String {
    bench.trusted.number_of(bench.trusted.domains().next().unwrap()).to_string()
}

#[tokio::test]
async fn host28_successions_are_fetched_and_count_from_then_on() {
    let records = [succession(1, 2, number(0, 1)), succession(9, 3, number(1, 0))];
    let mut bench = in_realm();
    bench.ask_for(succeeding(&records[..1])).await.unwrap();
    bench.ask_for(succeeding(&records)).await.unwrap();
    assert_eq!(root_number(&bench), "1.0");
    let domain = bench.trusted.domains().next().unwrap();
    assert_eq!(bench.cache.successions(domain).unwrap(), records);
    // A server that has none any more, or does not answer, takes nothing back.
    for answer in
        [nothing, |_: &fake::Request| Answer::new(503, vec![]), |_: &fake::Request| Answer::hang_up()]
    {
        bench.trusted = realm();
        bench.ask_for(answer).await.unwrap();
        assert_eq!(root_number(&bench), "1.0");
    }
    // One of an earlier version has no such path.
    let mut bench = in_realm();
    bench
        .ask_for(|request| match request.path.starts_with("/v1/succ") {
            true => Answer::new(404, br#"{"code":"not-found"}"#.to_vec()),
            false => no_list(),
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_forks_or_invents_successions_is_refused() {
    let first = succession(1, 2, number(0, 1));
    let mut bench = in_realm();
    bench.ask_for(succeeding(std::slice::from_ref(&first))).await.unwrap();
    for (record, code) in [
        (succession(1, 3, number(0, 1)), "succession-forked"),
        (succession(8, 3, number(0, 2)), "anchor-unknown"),
        (succession(2, 1, number(0, 2)), "succession-key"),
    ] {
        let error = bench.ask_for(succeeding(&[record])).await.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(root_number(&bench), "0.1");
    }
    // Pages that do not go on, records of no domain here, and what is none.
    let repeated = first.clone();
    let other = trust::author::grant_succession(
        &trust::author::request_succession(
            &trust::author::SuccessionRequest {
                iss: "root".to_owned(),
                issued_at: trust::UnixTime(1),
                domain: Domain(key(7).public_key().kid()),
                number: number(0, 1),
                rights: trust::Rights::ALL,
            },
            &key(8),
        )
        .unwrap(),
        &key(7),
    )
    .unwrap();
    let answers: [Answering; 4] = [
        Box::new(move |_| page(std::slice::from_ref(&repeated))),
        Box::new(succeeding(&[other])),
        Box::new(|_| Answer::ok(b"{\"successions\": [{}]}".to_vec())),
        Box::new(|_| {
            Answer::ok(
                br#"{"successions":[{"recovery_epoch":0,"succession_sequence":1,"record":"zz"}]}"#.to_vec(),
            )
        }),
    ];
    for answer in answers {
        assert_eq!(in_realm().ask_for(answer).await.unwrap_err().code(), "server-answer");
    }
}

/// A server with the release of `release::tests`.
fn with_release(envelope: Vec<u8>) -> FakeServer {
    let inspected = suit_manifest::author::inspect(&envelope).unwrap();
    let (digest, sequence) = (*inspected.digest(), inspected.manifest().sequence_number());
    let object = serde_json::json!({
        "manifest_digest": hex::encode(digest), "envelope_sha256": sha256(&envelope), "sequence": sequence,
        "image": {"sha256": sha256(IMAGE), "size": IMAGE.len()},
    });
    FakeServer::start(move |request| match request.path.as_str() {
        path if path.starts_with("/v1/releases/latest") => Answer::ok(object.to_string().into_bytes()),
        path if path.ends_with("/envelope") => Answer::ok(envelope.clone()),
        _ => Answer::ok(IMAGE.to_vec()),
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

/// Asks `server`, or none, under the name of one server.
async fn release(cache: &Cache, server: &FakeServer) -> Result<Offer, Error> {
    release_for(&device(), cache, server).await
}

async fn release_for(device: &Device, cache: &Cache, server: &FakeServer) -> Result<Offer, Error> {
    let shelf = match device.component {
        Component::Firmware => Shelf::Firmware,
        Component::Table => Shelf::Table,
    };
    asked_for(
        &mut device.clone(),
        Question { shelf, above: None, asks_alone: false },
        cache,
        server,
        HostChecks::Enforced,
    )
    .await
}

async fn asked_for(
    device: &mut Device,
    question: Question,
    cache: &Cache,
    server: &FakeServer,
    checks: HostChecks,
) -> Result<Offer, Error> {
    let client = Server::new(&server.url(), None, None).unwrap();
    let output = Output::new(true, false);
    let online = Online { server: &client, cache, output: &output };
    online.release(&trusted(), device, question, checks).await.1
}

fn kept(cache: &Cache, server: &FakeServer) -> usize {
    let device = device();
    let id = Uuid::from_bytes(device.identity.device);
    let kind = Kind { vendor: device.vendor(), class: device.class(), device: id, shelf: Shelf::Firmware };
    cache.release_objects(&server.url(), &kind).unwrap().len()
}

/// Whatever its number: one that is lower would be nothing newer.
#[tokio::test]
async fn host50_a_table_in_answer_to_a_question_for_firmware_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned());
    for sequence in [3, 5] {
        let server = with_release(Made::good().of_table(sequence).envelope());
        let error = release(&cache, &server).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.exit_code()), ("component-unsupported", 5), "{sequence}");
        assert_eq!(kept(&cache, &server), 0);
        let asked: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
        assert!(asked.iter().all(|path| !path.contains("target")), "{asked:?}");
    }
    // And the reverse.
    let mut device = device();
    device.other = Some(device.state);
    device.turn(update_protocol::profile::Component::Table).unwrap();
    let server = with_release(Made::good().envelope());
    let error = release_for(&device, &cache, &server).await.unwrap_err();
    assert_eq!(error.code(), "component-unsupported");
    assert!(server.requests()[0].path.ends_with("&target=table"));
    let server = with_release(Made::good().of_table(5).envelope());
    assert!(matches!(release_for(&device, &cache, &server).await, Ok(Offer::Release(_))));
    assert_eq!(kept(&cache, &server), 0, "kept, and not as firmware");
}

#[tokio::test]
async fn a_release_is_kept_once_it_has_verified_with_its_image() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned());
    let forged = with_release(Made::good().envelope_by(&root(3)));
    assert_eq!(release(&cache, &forged).await.unwrap_err().code(), "anchor-unknown");
    assert_eq!(kept(&cache, &forged), 0);
    let genuine = with_release(Made::good().envelope());
    assert!(matches!(release(&cache, &genuine).await, Ok(Offer::Release(_))));
    assert_eq!(kept(&cache, &genuine), 1);
}

/// A release with an image for each slot is whole with both: another device of the class may write the other slot, and
/// this one writes it after a reverted trial.
#[tokio::test]
async fn both_images_of_a_release_are_fetched_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned());
    let away = Arc::new(AtomicBool::new(false));
    let lacks_second = Arc::new(AtomicBool::new(true));
    let second: &[u8] = b"the image for the second slot";
    let envelope = Made::good().with_second_image(second).envelope();
    let inspected = suit_manifest::author::inspect(&envelope).unwrap();
    let (digest, sequence) = (*inspected.digest(), inspected.manifest().sequence_number());
    let object = serde_json::json!({
        "manifest_digest": hex::encode(digest), "envelope_sha256": sha256(&envelope), "sequence": sequence,
        "image": {"sha256": sha256(IMAGE), "size": IMAGE.len()},
    });
    let server = FakeServer::start({
        let (away, lacks_second) = (Arc::clone(&away), Arc::clone(&lacks_second));
        move |request| match request.path.as_str() {
            _ if away.load(Ordering::Relaxed) => Answer::new(503, vec![]),
            path if path.starts_with("/v1/releases/latest") => Answer::ok(object.to_string().into_bytes()),
            path if path.ends_with("/envelope") => Answer::ok(envelope.clone()),
            path if path.ends_with(&sha256(IMAGE)) => Answer::ok(IMAGE.to_vec()),
            _ if lacks_second.load(Ordering::Relaxed) => Answer::new(404, vec![]),
            _ => Answer::ok(second.to_vec()),
        }
    });
    let offered = async |second_slot: bool| {
        let mut device = device();
        device.state.flags.second_slot = second_slot;
        match release_for(&device, &cache, &server).await {
            Ok(Offer::Release(release)) => Ok((release.image, release.other_image)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.code()),
        }
    };
    // The image for the other slot holds up no update, and is fetched the next time.
    assert_eq!(offered(false).await, Ok((IMAGE.to_vec(), None)));
    lacks_second.store(false, Ordering::Relaxed);
    assert_eq!(offered(false).await, Ok((IMAGE.to_vec(), Some(second.to_vec()))));
    // Without the server a device gets its image, whichever slot it writes.
    away.store(true, Ordering::Relaxed);
    assert_eq!(offered(true).await, Ok((second.to_vec(), Some(IMAGE.to_vec()))));
    assert_eq!(offered(false).await, Ok((IMAGE.to_vec(), Some(second.to_vec()))));
}

#[tokio::test]
async fn a_release_that_the_server_does_not_offer_any_more_is_forgotten() {
    for (status, code) in [(404, "release-unknown"), (404, "release-not-offered"), (410, "release-withdrawn")]
    {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let gone = Arc::new(AtomicBool::new(false));
        let envelope = Made::good().envelope();
        let digest = *suit_manifest::author::inspect(&envelope).unwrap().digest();
        let object = serde_json::json!({
            "manifest_digest": hex::encode(digest), "envelope_sha256": sha256(&envelope), "sequence": 5,
            "image": {"sha256": sha256(IMAGE), "size": IMAGE.len()},
        });
        let server = FakeServer::start({
            let gone = Arc::clone(&gone);
            move |request| {
                let is_latest = request.path.starts_with("/v1/releases/latest");
                let is_gone = gone.load(Ordering::Relaxed);
                if is_gone && (is_latest == (status == 404)) {
                    Answer::new(status, format!(r#"{{"code":"{code}"}}"#).into_bytes())
                } else if is_latest {
                    Answer::ok(object.to_string().into_bytes())
                } else if request.path.ends_with("/envelope") {
                    Answer::ok(envelope.clone())
                } else {
                    Answer::ok(IMAGE.to_vec())
                }
            }
        });
        release(&cache, &server).await.unwrap();
        assert_eq!(kept(&cache, &server), 1);
        gone.store(true, Ordering::Relaxed);
        // The envelope is asked for again, as after a renewed credential.
        std::fs::remove_dir_all(folder.path().join("envelopes")).unwrap();
        let code = if code == "release-unknown" { "no-release" } else { code };
        assert_eq!(release(&cache, &server).await.unwrap_err().code(), code);
        assert_eq!(kept(&cache, &server), 0, "{code}");
    }
}

/// A full disk, or something in the way: nothing that is kept is needed for this update.
#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_kept_ends_no_update() {
    let bench = Bench::new();
    let digest: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(IMAGE).into();
    let images = bench.folder.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::os::unix::fs::symlink("elsewhere", images.join(format!("{}.part", hex::encode(digest)))).unwrap();
    let fake = FakeServer::start(|_| Answer::ok(IMAGE.to_vec()));
    let server = Server::new(&fake.url(), None, None).unwrap();
    let output = Output::new(true, false);
    let online = Online { server: &server, cache: &bench.cache, output: &output };
    let (size, named) = (IMAGE.len() as u64, crate::release::NamedImage { digest, size: IMAGE.len() as u64 });
    assert_eq!(online.image(named, 0, size).await.unwrap(), IMAGE);
    std::fs::write(bench.folder.path().join("envelopes"), b"a file in place of the folder").unwrap();
    online.kept(bench.cache.keep_envelope(b"envelope")).unwrap();
}
