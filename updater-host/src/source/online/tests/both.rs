//! Releases of firmware and a table, which are judged as each half of them is.

use update_protocol::profile::{ImageState, Mode, StateRecord};

use super::*;

const TABLE: &[u8] = b"0..80 bar, 4 s";
const BOTH: Question = Question { shelf: Shelf::Both, above: None, asks_alone: false };

/// A device with a table, whose floors and active sequence numbers are these: of the firmware, of the table.
fn device_at(floors: [u64; 2], active: [u64; 2]) -> Device {
    let mut device = device();
    let state = |place: usize| StateRecord {
        sequence_floor: floors[place],
        active_sequence: active[place],
        ..device.state
    };
    (device.other, device.state) = (Some(state(1)), state(0));
    device
}

/// A server that has this envelope and both images, and of them what is let through.
struct Served {
    server: FakeServer,
    is_away: Arc<AtomicBool>,
}

impl Served {
    fn new(envelope: Vec<u8>, table: &'static [u8], names_table: bool) -> Self {
        let inspected = suit_manifest::author::inspect(&envelope).unwrap();
        let (digest, sequence) = (*inspected.digest(), inspected.manifest().sequence_number());
        let mut object = serde_json::json!({
            "manifest_digest": hex::encode(digest), "envelope_sha256": sha256(&envelope), "sequence": sequence,
            "image": {"sha256": sha256(IMAGE), "size": IMAGE.len()},
        });
        if names_table {
            object["table_image"] = serde_json::json!({"sha256": sha256(TABLE), "size": TABLE.len()});
        }
        let is_away = Arc::new(AtomicBool::new(false));
        let server = FakeServer::start({
            let is_away = Arc::clone(&is_away);
            move |request| match request.path.as_str() {
                _ if is_away.load(Ordering::Relaxed) => Answer::new(503, vec![]),
                path if path.starts_with("/v1/releases/latest") => {
                    Answer::ok(object.to_string().into_bytes())
                }
                path if path.ends_with("/envelope") => Answer::ok(envelope.clone()),
                path if path.ends_with(&sha256(IMAGE)) => Answer::ok(IMAGE.to_vec()),
                path if path.ends_with(&sha256(TABLE)) => Answer::ok(table.to_vec()),
                _ => Answer::new(404, vec![]),
            }
        });
        Self { server, is_away }
    }

    fn good() -> Self {
        Self::new(Made::good().with_table(TABLE).envelope(), TABLE, true)
    }

    async fn ask(&self, device: &mut Device, question: Question, cache: &Cache) -> Result<Offer, Error> {
        asked_for(device, question, cache, &self.server, HostChecks::Enforced).await
    }
}

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned());
    (folder, cache)
}

/// What was offered, in short.
fn told(offer: Result<Offer, Error>) -> String {
    match offer {
        Ok(Offer::Release(release)) => match release.table {
            Some(table) => format!("{} and {}", release.image.len(), String::from_utf8_lossy(&table.image)),
            None => release.image.len().to_string(),
        },
        Ok(Offer::Older { .. }) => "older".to_owned(),
        Err(error) => error.code(),
    }
}

fn of_both() -> String {
    format!("{} and {}", IMAGE.len(), String::from_utf8_lossy(TABLE))
}

#[tokio::test]
async fn a_release_of_both_comes_with_its_table_and_is_kept() {
    let ((folder, cache), served) = (cache(), Served::good());
    let mut device = device_at([4, 5], [4, 5]);
    let Ok(Offer::Release(release)) = served.ask(&mut device, BOTH, &cache).await else { panic!() };
    assert!(served.server.requests()[0].path.ends_with("&target=both"));
    let table = release.table.unwrap();
    let components = [&release.facts, &table.facts].map(|facts| facts.as_ref().unwrap().component);
    assert_eq!(components, [Component::Firmware, Component::Table]);
    assert_eq!((release.image, table.image), (IMAGE.to_vec(), TABLE.to_vec()));
    assert_eq!(release.envelope, table.envelope);
    assert_eq!(device, device_at([4, 5], [4, 5]), "turned back");

    // Without the server; of its own shelf only.
    served.is_away.store(true, Ordering::Relaxed);
    assert_eq!(told(served.ask(&mut device, BOTH, &cache).await), of_both());
    for shelf in [Shelf::Firmware, Shelf::Table] {
        device.turn(shelf.component()).unwrap();
        let question = Question { shelf, above: None, asks_alone: false };
        assert_eq!(told(served.ask(&mut device, question, &cache).await), "server-refused");
    }
    device.turn(Component::Firmware).unwrap();
    for missing in [TABLE, IMAGE] {
        std::fs::remove_file(folder.path().join("images").join(sha256(missing))).unwrap();
        assert_eq!(told(served.ask(&mut device, BOTH, &cache).await), "server-refused");
    }
}

/// docs/attacks.md, HOST55. In place of both a half, or the reverse; or one that no device of this kind takes.
#[tokio::test]
async fn host55_what_answers_a_question_for_both_installs_both_and_each_half_is_judged() {
    let (_folder, cache) = cache();
    let of = |made: Made| Served::new(made.envelope(), TABLE, true);
    let ask = async |served: &Served, shelf: Shelf| {
        let mut device = device_at([4, 4], [4, 4]);
        device.turn(shelf.component()).unwrap();
        told(served.ask(&mut device, Question { shelf, above: None, asks_alone: false }, &cache).await)
    };
    for half in [Made::good(), Made::good().of_table(5)] {
        assert_eq!(ask(&of(half), Shelf::Both).await, "component-unsupported");
    }
    for shelf in [Shelf::Firmware, Shelf::Table] {
        assert_eq!(ask(&Served::good(), shelf).await, "component-unsupported");
    }
    let forged = Served::new(Made::good().with_table(TABLE).envelope_by(&root(3)), TABLE, true);
    assert_eq!(ask(&forged, Shelf::Both).await, "anchor-unknown");
    let other = Served::new(Made::good().with_table(TABLE).envelope(), b"0..90 bar, 4 s", true);
    assert_eq!(ask(&other, Shelf::Both).await, "server-answer");
    // A table that does not fit into its slot, beside firmware that does into its own.
    for place in 0..2 {
        let mut device = device_at([4, 4], [4, 4]);
        let of_table = device.other.as_mut().unwrap();
        [&mut device.state, of_table][place].slot_capacity = 4;
        let code = told(Served::good().ask(&mut device, BOTH, &cache).await);
        assert_eq!((code.as_str(), device.component), ("image-too-large", Component::Firmware));
    }
    let kind = |shelf| {
        let id = Uuid::from_bytes(device().identity.device);
        Kind { vendor: device().vendor(), class: device().class(), device: id, shelf }
    };
    let server = Served::good().server;
    for shelf in [Shelf::Both, Shelf::Firmware, Shelf::Table] {
        assert!(cache.release_objects(&server.url(), &kind(shelf)).unwrap().is_empty());
    }
    // A device without a table.
    let code = told(Served::good().ask(&mut device(), BOTH, &cache).await);
    assert_eq!(code, "component-unsupported");
}

/// docs/attacks.md, HOST56. One half that is newer, confirmed or on trial, is enough; equal numbers are no way back.
#[tokio::test]
async fn host56_a_device_that_is_beyond_a_release_of_both_keeps_what_it_has() {
    let ((_folder, cache), served) = (cache(), Served::good());
    let cases = [
        ([4, 4], [4, 4], of_both()),
        ([5, 5], [5, 5], of_both()),
        ([0, 0], [0, 0], of_both()),
        ([6, 4], [6, 4], "older".to_owned()),
        ([4, 6], [4, 6], "older".to_owned()),
        // On trial: the floor has not risen.
        ([5, 5], [6, 5], "older".to_owned()),
        ([5, 5], [5, 6], "older".to_owned()),
        // Something older runs again.
        ([6, 6], [4, 4], "older".to_owned()),
    ];
    for (floors, active, expected) in cases {
        for checks in [HostChecks::Enforced, HostChecks::Skipped] {
            let mut device = device_at(floors, active);
            let offer = asked_for(&mut device, BOTH, &cache, &served.server, checks).await;
            assert_eq!(told(offer), expected, "{floors:?} {active:?} {checks:?}");
            assert_eq!(device.component, Component::Firmware);
        }
    }
    // The other half does not fit either.
    let mut device = device_at([4, 6], [4, 6]);
    device.state.slot_capacity = 4;
    assert_eq!(told(served.ask(&mut device, BOTH, &cache).await), "older");
}

/// What comes after a release of both is above it; the rest is not even fetched.
#[tokio::test]
async fn what_is_not_beyond_a_release_of_both_is_older() {
    let (_folder, cache) = cache();
    for (shelf, envelope) in
        [(Shelf::Firmware, Made::good().envelope()), (Shelf::Table, Made::good().of_table(5).envelope())]
    {
        let served = Served::new(envelope, TABLE, false);
        let mut device = device_at([4, 4], [4, 4]);
        device.turn(shelf.component()).unwrap();
        for (above, expected) in [(Some(5), "older"), (Some(6), "older"), (Some(4), "22"), (None, "22")] {
            let question = Question { shelf, above, asks_alone: false };
            assert_eq!(told(served.ask(&mut device, question, &cache).await), expected, "{above:?}");
            let images = served.server.requests().iter().any(|it| it.path.starts_with("/v1/images"));
            assert!(!images || expected == "22", "{above:?}");
        }
    }
}

/// Where the checks are skipped the server names the images.
#[tokio::test]
async fn without_checks_both_images_are_those_that_the_server_names() {
    let (_folder, cache) = cache();
    let forged = Made::good().with_table(TABLE).envelope_by(&root(3));
    for (names_table, expected) in [(true, of_both()), (false, "server-answer".to_owned())] {
        let served = Served::new(forged.clone(), TABLE, names_table);
        let mut device = device_at([4, 4], [4, 4]);
        let offer = asked_for(&mut device, BOTH, &cache, &served.server, HostChecks::Skipped).await;
        assert_eq!(told(offer), expected);
    }
}

/// A device that an interrupted update left in its loader has what it had: what is older is no rollback there either.
#[tokio::test]
async fn what_is_older_is_so_for_a_device_in_its_loader() {
    let (_folder, cache) = cache();
    let cases = [
        (Mode::Application, ImageState::Confirmed, None, "older"),
        (Mode::Loader, ImageState::Confirmed, None, "older"),
        (Mode::Loader, ImageState::Pending, None, "older"),
        // It has nothing to run, and gets nothing: that is told.
        (Mode::Loader, ImageState::None, None, "sequence-rollback"),
        // But for a release of both that comes first.
        (Mode::Loader, ImageState::None, Some(6), "older"),
    ];
    for (shelf, envelope) in
        [(Shelf::Firmware, Made::good().envelope()), (Shelf::Table, Made::good().of_table(5).envelope())]
    {
        let served = Served::new(envelope, TABLE, false);
        for (mode, image, above, expected) in cases {
            let mut device = device_at([6, 6], [6, 6]);
            (device.state.mode, device.state.image) = (mode, image);
            device.turn(shelf.component()).unwrap();
            let offer = served.ask(&mut device, Question { shelf, above, asks_alone: false }, &cache).await;
            assert_eq!(told(offer), expected, "{shelf:?} {mode:?} {image:?}");
        }
    }
}

/// Whether a release of both may be there: the server says so itself, or what was fetched earlier does.
#[tokio::test]
async fn who_answered_is_known() {
    let heard = async |answer: fn() -> Answer, cache: &Cache, url: Option<&FakeServer>| {
        let own = FakeServer::start(move |_| answer());
        let client = Server::new(&url.unwrap_or(&own).url(), None, None).unwrap();
        let output = Output::new(true, false);
        let online = Online { server: &client, cache, output: &output };
        let mut device = device_at([4, 4], [4, 4]);
        online.release(&trusted(), &mut device, BOTH, HostChecks::Enforced).await.0
    };
    let (_folder, cache) = cache();
    let no_release: fn() -> Answer = || Answer::new(404, br#"{"code":"release-unknown"}"#.to_vec());
    for (answer, expected) in [
        (no_release, Heard::Server),
        (|| Answer::new(503, br#"{"code":"busy"}"#.to_vec()), Heard::Server),
        // Of a proxy before it.
        (|| Answer::new(503, vec![]), Heard::Nobody),
        (Answer::hang_up, Heard::Nobody),
    ] {
        assert_eq!(heard(answer, &cache, None).await, expected);
    }
    let served = Served::good();
    assert_eq!(heard(no_release, &cache, Some(&served.server)).await, Heard::Server);
    served.is_away.store(true, Ordering::Relaxed);
    assert_eq!(told(served.ask(&mut device_at([4, 4], [4, 4]), BOTH, &cache).await), of_both());
    assert_eq!(heard(no_release, &cache, Some(&served.server)).await, Heard::Kept);
}
