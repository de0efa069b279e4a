//! `/v1/successions` and `/v1/anchors`: the root of a domain is replaced, and hosts learn of it.

use serde_json::{Value, json};
use trust::author::{
    Minimum, RevocationRequest, Signer as _, SoftwareKey, SuccessionRequest, grant_succession,
    request_succession, sign_revocation,
};
use trust::{Domain, Rights, SuccessionNumber, UnixTime, encode_succession_chain};

use crate::harness::*;

const ROOT: Rights = Rights::FIRMWARE.and(Rights::GOVERNANCE).and(Rights::SUCCESSION);

/// A world whose domain has a recovery root.
struct Realm {
    world: World,
    recovery: SoftwareKey,
}

impl Realm {
    fn new() -> Self {
        let realm = Self { world: World::new(), recovery: SoftwareKey::generate().unwrap() };
        std::fs::write(realm.world.path("recovery.cose"), realm.recovery.public_key().to_cose_key()).unwrap();
        realm
    }

    fn domain(&self) -> Domain {
        Domain(self.world.root.public_key().kid())
    }

    fn start(&self) -> Server {
        let path = self.world.path("recovery.cose");
        self.world.start_with(&["--recovery-anchor", path.to_str().unwrap()])
    }

    fn path(&self) -> String {
        format!("/v1/successions/{}", hex::encode(self.domain().0.0))
    }

    fn list_path(&self) -> String {
        format!("/v1/revocations/{}", hex::encode(self.domain().0.0))
    }

    fn record(&self, grantor: &SoftwareKey, new: &SoftwareKey, number: (u16, u16)) -> Vec<u8> {
        self.record_with(grantor, new, number, ROOT)
    }

    fn record_with(
        &self,
        grantor: &SoftwareKey,
        new: &SoftwareKey,
        (recovery_epoch, succession_sequence): (u16, u16),
        rights: Rights,
    ) -> Vec<u8> {
        let request = SuccessionRequest {
            iss: "the next root".into(),
            issued_at: UnixTime(1_700_000_000),
            domain: self.domain(),
            number: SuccessionNumber { recovery_epoch, succession_sequence },
            rights,
        };
        grant_succession(&request_succession(&request, new).unwrap(), grantor).unwrap()
    }
}

fn key() -> SoftwareKey {
    SoftwareKey::generate().unwrap()
}

fn chain(records: &[&[u8]], list: &[u8]) -> Vec<u8> {
    encode_succession_chain(records, list).unwrap()
}

fn kid(key: &SoftwareKey) -> String {
    hex::encode(key.public_key().kid().0)
}

/// Number and root of the domain, as it is reported.
async fn root(realm: &Realm, server: &Server) -> (Value, Value, Value) {
    let told = server.get(&realm.path()).await.is(200).json();
    (told["recovery_epoch"].clone(), told["succession_sequence"].clone(), told["root_kid"].clone())
}

#[tokio::test]
async fn a_root_is_succeeded_and_every_succession_is_kept() {
    let realm = Realm::new();
    let (first, [second, third]) = (&realm.world.root, [key(), key()]);
    let mut server = realm.start();
    server.put("/v1/revocations", revocation(first, 7, &[])).await.is(201);
    let one = realm.record(first, &second, (0, 1));
    let two = realm.record(&realm.recovery, &third, (1, 0));

    let answer = server.put("/v1/successions", one.clone()).await;
    let told = json!({
        "domain": hex::encode(realm.domain().0.0), "root_kid": kid(&second),
        "recovery_epoch": 0, "succession_sequence": 1, "list_sequence": null
    });
    assert_eq!(answer.is(201).json(), told);
    assert_eq!(server.put("/v1/successions", one.clone()).await.is(200).json(), told, "again");
    // The list of the root that retired counts no more, and a chain ends with one of the present root.
    server.get(&realm.list_path()).await.is_problem(404, "revocation-list-unknown");
    server.get(&format!("{}/chain", realm.path())).await.is_problem(404, "succession-list-missing");

    let list = revocation(&third, 1, &[]);
    server.put("/v1/successions", two.clone()).await.is(201);
    server.put("/v1/revocations", list.clone()).await.is(200);
    for restarted in [false, true] {
        if restarted {
            drop(server);
            server = realm.start();
        }
        assert_eq!(root(&realm, &server).await, (json!(1), json!(0), json!(kid(&third))));
        assert_eq!(server.get(&realm.list_path()).await.is(200).body, list);
        let all = server.get(&format!("{}?all=true", realm.path())).await.is(200).json();
        let records: Vec<_> = all["successions"].as_array().unwrap().iter().map(|it| &it["record"]).collect();
        assert_eq!(records, [&json!(hex::encode(&one)), &json!(hex::encode(&two))]);
        assert_eq!(
            all["successions"][0],
            json!({
                "recovery_epoch": 0, "succession_sequence": 1, "root_kid": kid(&second), "grantor_kid": kid(first),
                "name": "the next root", "rights": ["firmware", "governance", "succession"],
                "issued_at": 1_700_000_000, "record": hex::encode(&one)
            })
        );
        // What roots signed before the recovery root spoke is not needed.
        let needed = server.get(&realm.path()).await.is(200).json();
        assert_eq!(needed["successions"].as_array().unwrap().len(), 1);
        for (after, expected) in [("0.0", 1), ("0.1", 1), ("1.0", 0), ("65535.65535", 0)] {
            let told = server.get(&format!("{}?after={after}&limit=20", realm.path())).await.is(200).json();
            assert_eq!(told["successions"].as_array().unwrap().len(), expected, "{after}");
        }
        let page = server.get(&format!("{}?all=true&limit=1", realm.path())).await.is(200).json();
        assert_eq!(page["successions"].as_array().unwrap().len(), 1);
        let raw = server.get(&format!("{}/chain", realm.path())).await;
        assert_eq!(raw.is(200).header("content-type"), Some("application/cbor"));
        assert_eq!(raw.body, chain(&[&two], &list));
        assert_eq!(server.get(&format!("{}/chain?after=0.65535", realm.path())).await.is(200).body, raw.body);
        server.get(&format!("{}/chain?after=1.0", realm.path())).await.is_problem(404, "succession-unknown");
    }
}

#[tokio::test]
async fn the_anchors_are_shown_with_their_standing() {
    let realm = Realm::new();
    let second = key();
    let server = realm.start();
    let anchor = |key: &SoftwareKey, rights: &[&str], standing: &str, number: Option<(u16, u16)>| {
        let mut anchor = json!({
            "kid": kid(key), "domain": hex::encode(realm.domain().0.0), "rights": rights, "standing": standing,
            "cose_key": hex::encode(key.public_key().to_cose_key()),
        });
        if let Some((epoch, sequence)) = number {
            anchor["recovery_epoch"] = epoch.into();
            anchor["succession_sequence"] = sequence.into();
        }
        anchor
    };
    let all = ["firmware", "governance", "succession", "boot"];
    let recovery = anchor(&realm.recovery, &["succession"], "recovery-root", None);
    let first = anchor(&realm.world.root, &all, "root", Some((0, 0)));
    let told = server.get("/v1/anchors").await.is(200).json();
    assert_eq!(told["anchors"], json!([first, recovery]));
    assert_eq!(told["domains"][0]["root_kid"], kid(&realm.world.root));

    let record = realm.record(&realm.world.root, &second, (0, 1));
    server.put("/v1/successions", chain(&[&record], &revocation(&second, 4, &[]))).await.is(201);
    let told = server.get("/v1/anchors").await.is(200).json();
    let present = anchor(&second, &all[..3], "root", Some((0, 1)));
    let retired = anchor(&realm.world.root, &["boot"], "retired", Some((0, 0)));
    assert_eq!(told["anchors"], json!([present, recovery, retired]));
    assert_eq!(
        told["domains"],
        json!([{
            "domain": hex::encode(realm.domain().0.0), "root_kid": kid(&second),
            "recovery_epoch": 0, "succession_sequence": 1, "list_sequence": 4
        }])
    );
}

#[tokio::test]
async fn srv46_releases_and_lists_of_a_root_that_retired_are_refused() {
    let realm = Realm::new();
    let second = key();
    let (old, new) = (release_key(&realm.world.root), release_key(&second));
    let mut server = realm.start();
    let image = image(1, 100);
    let published = server.publish(&image, &envelope(&image, 1, &old)).await.is(201).json();
    assert_eq!(server.listed().await, [1]);
    server.publish(&image, &envelope(&image, 2, &new)).await.is_problem(422, "anchor-unknown");

    let record = realm.record(&realm.world.root, &second, (0, 1));
    server.put("/v1/successions", record).await.is(201);
    for restarted in [false, true] {
        if restarted {
            drop(server);
            server = realm.start();
        }
        assert_eq!(server.listed().await, [0; 0]);
        server.latest().await.is_problem(404, "release-not-offered");
        server.get(&envelope_path(&published)).await.is_problem(410, "anchor-rights");
        let path = format!("/v1/releases/{}", published["manifest_digest"].as_str().unwrap());
        let status = server.get(&path).await.is(200).json();
        assert_eq!((&status["status"], &status["refusal"]), (&json!("refused"), &json!("anchor-rights")));
        assert_eq!(status["version"], "1.0.0", "what it was is still known");
        server.publish(&image, &envelope(&image, 3, &old)).await.is_problem(422, "anchor-rights");
        let late = revocation(&realm.world.root, 9, &[]);
        server.put("/v1/revocations", late).await.is_problem(422, "anchor-rights");
    }
    server.publish(&image, &envelope(&image, 2, &new)).await.is(201);
    assert_eq!(server.listed().await, [2]);
    server.put("/v1/revocations", revocation(&second, 1, &[old.kid()])).await.is(201);

    // The same manifest, certified again, is offered again.
    let again = sign(&description(&image, 1), &release_key(&second));
    server.publish(&image, &again).await.is(201);
    assert_eq!(server.listed().await, [2, 1]);
}

#[tokio::test]
async fn srv47_a_fork_is_refused_and_named_until_the_recovery_root_speaks() {
    let realm = Realm::new();
    let [second, thief, third] = [key(), key(), key()];
    let mut server = realm.start();
    let record = realm.record(&realm.world.root, &second, (0, 1));
    let fork = realm.record(&realm.world.root, &thief, (0, 1));
    let onward = realm.record(&thief, &third, (0, 2));
    let bare =
        realm.record_with(&realm.world.root, &second, (0, 1), Rights::GOVERNANCE.and(Rights::SUCCESSION));
    server.put("/v1/successions", record.clone()).await.is(201);
    for restarted in [false, true] {
        if restarted {
            drop(server);
            server = realm.start();
        }
        server.put("/v1/successions", fork.clone()).await.is_problem(409, "succession-forked");
        server.put("/v1/successions", bare.clone()).await.is_problem(409, "succession-forked");
        let chained = chain(&[&fork, &onward], &revocation(&third, 1, &[]));
        server.put("/v1/successions", chained).await.is_problem(409, "succession-forked");
        assert_eq!(root(&realm, &server).await, (json!(0), json!(1), json!(kid(&second))));
    }
    // In one chain with the thief's record, which is put aside.
    let rescue = realm.record(&realm.recovery, &third, (1, 0));
    let list = revocation(&third, 1, &[]);
    server.put("/v1/successions", chain(&[&fork, &rescue], &list)).await.is(201);
    assert_eq!(root(&realm, &server).await, (json!(1), json!(0), json!(kid(&third))));
    server.put("/v1/successions", onward).await.is_problem(409, "succession-old");
    server.put("/v1/successions", fork.clone()).await.is_problem(409, "succession-old");
    server
        .put("/v1/successions", chain(&[&fork], &revocation(&thief, 9, &[])))
        .await
        .is_problem(409, "succession-old");
    let all = server.get(&format!("{}?all=true", realm.path())).await.json();
    assert_eq!(all["successions"].as_array().unwrap().len(), 2, "the fork was never taken");
}

#[tokio::test]
async fn a_succession_that_does_not_fit_changes_nothing() {
    let realm = Realm::new();
    let world = &realm.world;
    let [second, third, stranger] = [key(), key(), key()];
    let minimum = Minimum { vendor: VENDOR, class: None, sequence: 5 };
    let listed = RevocationRequest { minimum_sequences: vec![minimum], ..revocation_request(3) };
    let list = sign_revocation(&listed, &world.root).unwrap();
    let server = realm.start();
    server.put("/v1/revocations", list.clone()).await.is(201);
    let before = server.get("/v1/anchors").await.json();

    let good = realm.record(&world.root, &second, (0, 1));
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let powerless = realm.record_with(&realm.recovery, &second, (0, 1), ROOT);
    let first_list = revocation(&second, 1, &[]);
    for (record, status, code) in [
        (realm.record(&stranger, &second, (0, 1)), 422, "anchor-unknown"),
        (powerless, 422, "anchor-rights"),
        (realm.record(&world.root, &second, (1, 0)), 422, "anchor-rights"),
        (realm.record(&world.root, &second, (0, 2)), 409, "succession-order"),
        (realm.record(&realm.recovery, &second, (2, 0)), 409, "succession-order"),
        (realm.record(&world.root, &realm.recovery, (0, 1)), 422, "succession-key"),
        (flipped, 422, "signature-invalid"),
        (first_list.clone(), 422, "record-type"),
        (good[..good.len() - 1].to_vec(), 400, "record-malformed"),
        (Vec::new(), 400, "record-malformed"),
        (b"{}".to_vec(), 400, "record-malformed"),
        (vec![0x82; 4096], 400, "record-malformed"),
        (vec![0x82; 4097], 413, "body-too-large"),
        // Chains: a gap, the list of another root, one that forgets a minimum, one that is no list.
        (
            chain(&[&good, &realm.record(&second, &third, (0, 3))], &revocation(&third, 1, &[])),
            409,
            "succession-order",
        ),
        (chain(&[&good], &list), 422, "anchor-rights"),
        (chain(&[&good], &first_list), 409, "revocation-drops-entry"),
        (chain(&[&good], &good), 422, "record-type"),
    ] {
        let answer = server.put("/v1/successions", record).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str()),
            (status, Some(code)),
            "{answer:?}"
        );
    }
    server
        .put("/v1/successions", chain(&[&good, &good], &first_list))
        .await
        .is_problem(409, "succession-order");
    assert_eq!(server.get("/v1/anchors").await.json(), before);
    assert_eq!(server.get(&realm.list_path()).await.body, list);
    let all = server.get(&format!("{}?all=true", realm.path())).await.json();
    assert_eq!(all["successions"], json!([]));

    let report = [("authorization", "Bearer nonsense-nonsense")];
    server
        .send(axum::http::Method::PUT, "/v1/successions", &report, good)
        .await
        .is_problem(401, "unauthorized");
    server.get("/v1/successions/0123456789abcdef").await.is_problem(404, "domain-unknown");
    server.get("/v1/successions/0123456789abcdef/chain").await.is_problem(404, "domain-unknown");
    for query in
        ["after=1", "after=1.", "after=01.0", "after=0.65536", "after=-1.0", "limit=0", "limit=21", "x=1"]
    {
        let answer = server.get(&format!("{}?{query}", realm.path())).await;
        answer.is_problem(400, "request-malformed");
    }
    server.get(&format!("{}/chain?all=true", realm.path())).await.is_problem(400, "request-malformed");
}

#[tokio::test]
async fn a_successor_has_no_more_rights_than_its_root() {
    let realm = Realm::new();
    let [second, third] = [key(), key()];
    let server = realm.start();
    let bare = Rights::GOVERNANCE.and(Rights::SUCCESSION);
    server.put("/v1/successions", realm.record_with(&realm.world.root, &second, (0, 1), bare)).await.is(201);
    let more = realm.record(&second, &third, (0, 2));
    server.put("/v1/successions", more).await.is_problem(422, "succession-rights");
    let image = image(1, 100);
    let forged = envelope(&image, 1, &release_key(&second));
    server.publish(&image, &forged).await.is_problem(422, "anchor-rights");
    server.put("/v1/successions", realm.record(&realm.recovery, &third, (1, 0))).await.is(201);
    server.publish(&image, &envelope(&image, 1, &release_key(&third))).await.is(201);
}

/// A chain of more than a device takes: only the recovery root makes it shorter.
#[tokio::test]
async fn a_chain_that_no_device_takes_is_not_served() {
    let realm = Realm::new();
    let keys: Vec<_> = (0..14).map(|_| key()).collect();
    let server = realm.start();
    let mut grantor = &realm.world.root;
    for (sequence, new) in (1..).zip(&keys[..13]) {
        server.put("/v1/successions", realm.record(grantor, new, (0, sequence))).await.is(201);
        grantor = new;
    }
    server.put("/v1/revocations", revocation(grantor, 1, &[])).await.is(201);
    let path = format!("{}/chain", realm.path());
    server.get(&path).await.is_problem(409, "succession-chain-too-long");
    assert!(server.get(&format!("{path}?after=0.8")).await.is(200).body.len() <= 4096);
    let rescue = realm.record(&realm.recovery, &keys[13], (1, 0));
    server.put("/v1/successions", chain(&[&rescue], &revocation(&keys[13], 1, &[]))).await.is(201);
    server.get(&path).await.is(200);
    let all = server.get(&format!("{}?all=true", realm.path())).await;
    assert!(all.is(200).body.len() < 64 << 10);
    assert_eq!(all.json()["successions"].as_array().unwrap().len(), 14);
}

/// The minimums of the list before count for the first list of the successor, also after a restart in between.
#[tokio::test]
async fn srv48_a_restart_between_a_succession_and_its_first_list_forgets_no_minimum() {
    let realm = Realm::new();
    let second = key();
    let minimum = Minimum { vendor: VENDOR, class: None, sequence: 5 };
    let with_minimum =
        |sequence| RevocationRequest { minimum_sequences: vec![minimum], ..revocation_request(sequence) };
    let mut server = realm.start();
    server
        .put("/v1/revocations", sign_revocation(&with_minimum(3), &realm.world.root).unwrap())
        .await
        .is(201);
    server.put("/v1/successions", realm.record(&realm.world.root, &second, (0, 1))).await.is(201);
    for restarted in [false, true] {
        if restarted {
            drop(server);
            server = realm.start();
        }
        let forgetful = revocation(&second, 1, &[]);
        server.put("/v1/revocations", forgetful).await.is_problem(409, "revocation-drops-entry");
    }
    // list-sequence begins again.
    let good = sign_revocation(&with_minimum(1), &second).unwrap();
    server.put("/v1/revocations", good.clone()).await.is(200);
    drop(server);
    let server = realm.start();
    assert_eq!(server.get(&realm.list_path()).await.body, good);
    // The same of a root in the middle.
    let third = key();
    server.put("/v1/successions", realm.record(&second, &third, (0, 2))).await.is(201);
    drop(server);
    let server = realm.start();
    server.put("/v1/revocations", revocation(&third, 1, &[])).await.is_problem(409, "revocation-drops-entry");
    server.put("/v1/revocations", sign_revocation(&with_minimum(1), &third).unwrap()).await.is(200);
}

/// Each commit is the old or the new state: a chain comes with its list or not at all.
#[tokio::test]
async fn srv49_a_kill_within_a_succession_leaves_the_old_or_the_new_root() {
    let realm = Realm::new();
    let second = key();
    let old = revocation(&realm.world.root, 3, &[]);
    let new = revocation(&second, 1, &[]);
    let record = realm.record(&realm.world.root, &second, (0, 1));
    let whole = chain(&[&record], &new);
    let server = realm.start();
    server.put("/v1/revocations", old.clone()).await.is(201);
    drop(server);
    let mut seen = [0; 2];
    for delay in 0..12 {
        let mut server = realm.start();
        let request = format!(
            "PUT /v1/successions HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n",
            bearer(),
            whole.len()
        );
        let mut stream = server.connect();
        std::io::Write::write_all(&mut stream, &[request.as_bytes(), &whole].concat()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay / 2));
        server.signal(nix::sys::signal::Signal::SIGKILL);
        server.wait(std::time::Duration::from_secs(10)).unwrap();
        let server = realm.start();
        let list = server.get(&realm.list_path()).await.is(200).body.to_vec();
        let (_, sequence, _) = root(&realm, &server).await;
        let state = usize::try_from(sequence.as_u64().unwrap()).unwrap();
        assert_eq!(list, [&old, &new][state].clone(), "a root and its list go together");
        seen[state] += 1;
        if state == 1 {
            break;
        }
    }
    let server = realm.start();
    server.put("/v1/successions", whole).await;
    assert_eq!(root(&realm, &server).await.1, json!(1), "{seen:?}");
}

#[tokio::test]
async fn a_stored_succession_that_does_not_verify_stops_the_start() {
    let realm = Realm::new();
    let server = realm.start();
    let rescue = realm.record(&realm.recovery, &key(), (1, 0));
    server.put("/v1/successions", rescue).await.is(201);
    drop(server);
    // Without the recovery root nobody vouches for it.
    let (code, said) = realm.world.fail(&[]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("succession 1.0") && said.contains("--recovery-anchor"), "{said}");
    drop(realm.start());
    let path = realm.world.path("recovery.cose");
    let recovery = ["--recovery-anchor", path.to_str().unwrap()];
    realm.world.change_database("UPDATE successions SET bytes = x'00'").await;
    assert_eq!(realm.world.fail(&recovery).0, 5);
}

#[tokio::test]
async fn a_recovery_root_is_an_anchor_of_one_domain() {
    let realm = Realm::new();
    let file = |name: &str| realm.world.path(name).to_str().unwrap().to_owned();
    std::fs::write(file("second.cose"), key().public_key().to_cose_key()).unwrap();
    let (recovery, second) = (file("recovery.cose"), file("second.cose"));
    let (code, said) = realm.world.fail(&["--anchor", &second, "--recovery-anchor", &recovery]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("DOMAIN=FILE"), "{said}");
    let named = format!("{}={recovery}", hex::encode(realm.domain().0.0));
    let server = realm.world.start_with(&["--anchor", &second, "--recovery-anchor", &named]);
    let anchors = server.get("/v1/anchors").await.json();
    assert_eq!(anchors["anchors"][2]["domain"], hex::encode(realm.domain().0.0));
    // A recovery root certifies nothing and signs no list.
    let forged = release_key(&realm.recovery);
    let image = image(1, 100);
    server.publish(&image, &envelope(&image, 1, &forged)).await.is_problem(422, "anchor-rights");
    server.put("/v1/revocations", revocation(&realm.recovery, 1, &[])).await.is_problem(422, "anchor-rights");
}
