//! The root of a domain is replaced: planned, lost, stolen. A trust store stands for devices and decides.

use serde_json::{Value, json};
use trust::host::parse_public_key;
use trust::{Anchor, Domain, Held, PublicKey, TrustStoreBuf};

use super::workshop::{Workshop, split};

/// A maker's desk: root and recovery root with a ledger each, and keys for whoever comes later.
pub(super) struct Desk {
    pub(super) workshop: Workshop,
}

impl Desk {
    pub(super) fn new() -> Self {
        let workshop = Workshop::new();
        for name in ["root", "recovery", "second", "third", "thief", "ci", "service"] {
            workshop.key(name);
        }
        let desk = Self { workshop };
        desk.ok("ledger init root.ledger --key root.pem --name root --vendor anchorage.example --holder Ada --kept safe");
        desk.ok("ledger init recovery.ledger --key recovery.pem --name recovery --purpose recovery-root \
             --domain-anchor root.cose --holder Eve --kept bank");
        desk
    }

    pub(super) fn ok(&self, line: &str) -> Value {
        self.workshop.ok(&split(line))
    }

    pub(super) fn refused(&self, line: &str) -> (String, i32) {
        self.workshop.refused(&split(line))
    }

    /// Certifies a key under `root.ledger`.
    pub(super) fn issue(&self, root: &str, subject: &str, more: &str) -> Value {
        self.ok(&format!(
            "credential issue --key {root}.pem --ledger {root}.ledger --for {subject}.cose --subject {subject} --out \
             {subject}-{root}.cwt --vendor anchorage.example --class demo-node {more}"
        ))
    }

    /// `{new}.request` and `{new}.succession`, by the root.
    pub(super) fn succeed(&self, root: &str, new: &str) -> Value {
        self.ok(&format!(
            "succession request --key {new}.pem --name {new} --history {root}.ledger --out {new}.request"
        ));
        self.ok(&format!(
            "succession grant {new}.request --key {root}.pem --ledger {root}.ledger --reason age --yes --out {new}.succession"
        ))
    }

    /// The same by the recovery root, which closes the ledger of the root.
    pub(super) fn rescue(&self, root: &str, new: &str) -> Value {
        self.ok(&format!(
            "succession request --key {new}.pem --name {new} --by-recovery --history {root}.ledger --history \
             recovery.ledger --out {new}.request"
        ));
        self.ok(&format!("{} --yes", Self::rescue_line(root, new)))
    }

    pub(super) fn rescue_line(root: &str, new: &str) -> String {
        format!(
            "succession grant {new}.request --key recovery.pem --ledger recovery.ledger --retires {root}.ledger \
             --reason lost --out {new}.succession"
        )
    }

    /// Begins the ledger of a successor.
    pub(super) fn go_on(&self, root: &str, new: &str) {
        self.ok(&format!(
            "ledger init {new}.ledger --key {new}.pem --name {new} --continues {root}.ledger --holder Ada --kept safe"
        ));
    }

    /// The first list of a root, and the chain that brings devices to it.
    pub(super) fn chain(&self, root: &str) -> Value {
        self.ok(&format!(
            "revoke --nothing-new --key {root}.pem --ledger {root}.ledger --none-published --out {root}.list"
        ));
        self.ok(&format!("succession chain --history {root}.ledger --out {root}.chain"))
    }

    fn public(&self, name: &str) -> PublicKey {
        parse_public_key(&self.workshop.read(&format!("{name}.cose"))).unwrap()
    }

    /// A device with the anchors of its production.
    fn device(&self) -> TrustStoreBuf {
        let root = self.public("root");
        let domain = Domain(root.kid());
        TrustStoreBuf::new([Anchor::root(root), Anchor::recovery(self.public("recovery"), domain)])
    }

    fn root_of(&self, device: &TrustStoreBuf) -> PublicKey {
        *device.root_of(Domain(self.public("root").kid())).unwrap().key()
    }
}

#[test]
fn a_planned_succession_brings_devices_to_the_next_root() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --holder Bob --kept ci");
    desk.issue("root", "service", "--role service");
    desk.ok(
        "revoke service --minimum *=5 --vendor anchorage.example --key root.pem --ledger root.ledger --none-published \
         --out root.list",
    );
    let granted = desk.succeed("root", "second");
    assert_eq!((&granted["number"], &granted["replaces"]["name"]), (&json!("0.1"), &json!("root")));
    // Who lives on has to be certified again; who was revoked does not.
    let again = granted["certify_again"].as_array().unwrap();
    assert_eq!((again.len(), &again[0]["name"], &again[0]["holder"]), (1, &json!("ci"), &json!("Bob")));
    assert_eq!(granted["minimum_sequences"][0]["sequence"], 5);
    assert_eq!(granted["closes"], "root.ledger");
    // The old root signs nothing more with its ledger.
    let late = "credential issue --key root.pem --ledger root.ledger --for third.cose --subject x --role release --vendor \
                anchorage.example --out no.cwt";
    assert_eq!(desk.refused(late), ("ledger-closed".into(), 5));
    let late = "revoke ci --key root.pem --ledger root.ledger --published root.list --out no.list";
    assert_eq!(desk.refused(late), ("ledger-closed".into(), 5));
    let twice = "succession request --key third.pem --name third --history root.ledger --out third.request";
    desk.ok(twice);
    let twice =
        "succession grant third.request --key root.pem --ledger root.ledger --yes --out no.succession";
    assert_eq!(desk.refused(twice), ("ledger-closed".into(), 5));

    assert_eq!(desk.ok("ledger show root.ledger")["successor"]["name"], "second");
    // Without a list of the new root there is no chain; with it the minimum before is stated.
    let early = "succession chain --history root.ledger --out no.chain";
    assert_eq!(desk.refused(early), ("no-chain".into(), 2));
    desk.go_on("root", "second");
    let taken =
        "ledger init no.ledger --key third.pem --name third --continues root.ledger --holder A --kept k";
    assert_eq!(
        desk.workshop.run(&[&["--json"], &split(taken)[..]].concat()).refusal().0,
        "ledger-not-succeeded"
    );
    let chained = desk.chain("second");
    assert_eq!((&chained["successions"], &chained["list_sequence"]), (&json!(["0.1"]), &json!(1)));
    let mut device = desk.device();
    device.add_list(desk.workshop.read("root.list")).unwrap();
    assert_eq!(device.add_chain(&desk.workshop.read("second.chain")), Ok(Held::Newest));
    assert_eq!(desk.root_of(&device), desk.public("second"));
    // The ledgers verify, and the new one knows the one before.
    let listed = desk.ok("ledger list second.ledger");
    assert_eq!(listed["entries"][0]["kind"], "open");
    desk.ok("ledger verify second.ledger --anchor second.cose --published second.list");
    // One more, with the whole history in one ledger; a device from the shelf takes it in one object.
    desk.ok(
        "succession request --key third.pem --name third --history second.ledger --out third.request --force",
    );
    let grant =
        "succession grant third.request --key second.pem --ledger second.ledger --yes --out third.succession";
    assert_eq!(desk.ok(grant)["number"], "0.2");
    desk.go_on("second", "third");
    assert_eq!(desk.chain("third")["successions"], json!(["0.1", "0.2"]));
    let later = desk.ok("succession chain --history third.ledger --after 0.1 --out later.chain");
    assert_eq!(later["successions"], json!(["0.2"]));
    let mut shelf = desk.device();
    assert_eq!(shelf.add_chain(&desk.workshop.read("third.chain")), Ok(Held::Newest));
    assert_eq!(device.add_chain(&desk.workshop.read("later.chain")), Ok(Held::Newest));
    assert_eq!((desk.root_of(&shelf), desk.root_of(&device)), (desk.public("third"), desk.public("third")));
}

#[test]
fn a_lost_root_is_replaced_by_the_recovery_root() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release");
    let granted = desk.rescue("root", "second");
    assert_eq!((&granted["number"], &granted["recovery_root"]["name"]), (&json!("1.0"), &json!("recovery")));
    assert_eq!(
        (&granted["closes"], &granted["certify_again"][0]["name"]),
        (&json!("root.ledger"), &json!("ci"))
    );
    // The ledger of the lost root is closed by a key that is not its own.
    let late = "revoke ci --key root.pem --ledger root.ledger --none-published --out no.list";
    assert_eq!(desk.refused(late), ("ledger-closed".into(), 5));
    let listed = desk.ok("ledger list root.ledger");
    let last = listed["entries"].as_array().unwrap().last().unwrap();
    assert!(last["subject"].as_str().unwrap().contains("named by the recovery root"), "{last}");
    desk.go_on("root", "second");
    desk.chain("second");
    let mut device = desk.device();
    assert_eq!(device.add_chain(&desk.workshop.read("second.chain")), Ok(Held::Newest));
    // The recovery root goes on: its next succession has the next epoch.
    desk.rescue("second", "third");
    assert_eq!(desk.ok("ledger verify recovery.ledger --anchor recovery.cose")["uncovered"], 0);
    desk.go_on("second", "third");
    assert_eq!(desk.chain("third")["successions"], json!(["1.0", "2.0"]));
    assert_eq!(device.add_chain(&desk.workshop.read("third.chain")), Ok(Held::Newest));
    assert_eq!(desk.root_of(&device), desk.public("third"));
}

/// The thief goes first, names himself, and revokes what he can. The recovery root wins on devices that took his word and on
/// those that did not.
#[test]
fn a_stolen_root_loses_to_the_recovery_root() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release");
    desk.ok("succession request --key thief.pem --name thief --anchor root.cose --out thief.request");
    desk.ok("succession grant thief.request --key root.pem --anchor root.cose --no-ledger --yes --out thief.succession");
    desk.ok(
        "revoke --key thief.pem --issuer thief --first --minimum *=1000000 --vendor thief.example --lowest-generation \
         release=200 --no-ledger --out thief.list",
    );
    desk.ok(
        "succession chain --anchor root.cose --succession thief.succession --list thief.list --out thief.chain",
    );
    let mut fooled = desk.device();
    assert_eq!(fooled.add_chain(&desk.workshop.read("thief.chain")), Ok(Held::Newest));
    let mut untouched = desk.device();

    let granted = desk.rescue("root", "second");
    assert_eq!(granted["number"], "1.0");
    desk.go_on("root", "second");
    desk.chain("second");
    let chain = desk.workshop.read("second.chain");
    for device in [&mut fooled, &mut untouched] {
        assert_eq!(device.add_chain(&chain), Ok(Held::Newest));
        assert_eq!(desk.root_of(device), desk.public("second"));
        assert!(device.add_chain(&desk.workshop.read("thief.chain")).is_ok_and(|held| held != Held::Newest));
        assert_eq!(desk.root_of(device), desk.public("second"));
    }
    // At the desk the thief's record is shown and changes nothing, beside the recovery root's.
    let both = "succession chain --history second.ledger --succession thief.succession --out both.chain";
    assert_eq!(desk.ok(both)["number"], "1.0");
    // A fork that nobody has ended is one: the same number, another root.
    desk.ok("succession request --key third.pem --name third --anchor root.cose --out third.request");
    let fork = "succession grant third.request --key root.pem --anchor root.cose --succession thief.succession --no-ledger \
                --yes --out no.succession";
    assert_eq!(desk.refused(fork), ("succession-forked".into(), 6));
}

#[test]
fn a_request_that_devices_would_refuse_is_not_granted() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release");
    let request = |new: &str, more: &str| {
        desk.ok(&format!(
            "succession request --key {new}.pem --name {new} --out {new}.request --force {more}"
        ))
    };
    let refused = |new: &str, by: &str, more: &str| {
        desk.refused(&format!(
            "succession grant {new}.request --key {by}.pem --ledger {by}.ledger --history root.ledger --yes --out \
             no.succession {more}"
        ))
    };
    // Nobody said yes.
    request("second", "--history root.ledger");
    let unasked = "succession grant second.request --key root.pem --ledger root.ledger --out no.succession";
    assert_eq!(desk.refused(unasked), ("confirmation-needed".into(), 2));
    // Not by the recovery root, which names roots of its own numbers; nor by a stranger.
    assert_eq!(refused("second", "recovery", "").0, "anchor-rights");
    let stranger = "succession grant second.request --key thief.pem --history root.ledger --no-ledger --yes --out no.succession";
    assert_eq!(desk.refused(stranger), ("anchor-unknown".into(), 5));
    // Nor by the root what is for the recovery root to grant.
    request("second", "--history root.ledger --history recovery.ledger --by-recovery");
    assert_eq!(refused("second", "root", "").0, "anchor-rights");
    let retires = "succession grant second.request --key thief.pem --history root.ledger --history recovery.ledger --no-ledger \
                   --yes --out no.succession";
    assert_eq!(desk.refused(retires), ("anchor-unknown".into(), 5));
    // The ledger that is to be closed is that of the replaced root; a root closes its own.
    desk.ok(
        "ledger init line.ledger --key ci.pem --name line --purpose issuing --domain-anchor root.cose --holder A --kept k",
    );
    assert_eq!(refused("second", "recovery", "--retires line.ledger"), ("ledger-other-key".into(), 4));
    request("third", "--history root.ledger");
    assert_eq!(refused("third", "root", "--retires line.ledger"), ("usage".into(), 2));
    // Rights above those of the replaced root, or too few for a root.
    let above = "succession request --key second.pem --name s --anchor root.cose --owner-root --rights \
                 firmware,governance,succession --out no.request";
    assert_eq!(desk.refused(above), ("succession-rights".into(), 6));
    let few = "succession request --key second.pem --name s --anchor root.cose --rights governance --out no.request";
    assert_eq!(desk.refused(few), ("succession-rights".into(), 6));
    desk.ok("succession request --key second.pem --name s --anchor root.cose --out second.request --force");
    let owner = "succession grant second.request --key root.pem --anchor root.cose --owner-root --no-ledger --yes --out \
                 no.succession";
    assert_eq!(desk.refused(owner), ("succession-rights".into(), 6));
    // A key that is an anchor, or that a root certified.
    let recovery = "succession request --key recovery.pem --name s --history root.ledger --history recovery.ledger --out \
                    no.request";
    assert_eq!(desk.refused(recovery), ("succession-key".into(), 6));
    let release = "succession request --key ci.pem --name s --history root.ledger --out no.request";
    assert_eq!(desk.refused(release), ("key-has-role".into(), 4));
    desk.ok("succession request --key ci.pem --name ci-root --anchor root.cose --out ci.request");
    assert_eq!(refused("ci", "root", ""), ("key-has-role".into(), 4));
    // Of a day long past; of another domain; no request at all.
    let old = "--history root.ledger --now 2020-01-31T00:00:00Z";
    request("second", old);
    assert_eq!(refused("second", "root", ""), ("request-expired".into(), 5));
    request("second", "--anchor thief.cose");
    assert_eq!(refused("second", "root", ""), ("anchor-unknown".into(), 5));
    desk.workshop.write("second.request", &desk.workshop.read("ci-root.cwt"));
    assert_eq!(refused("second", "root", ""), ("record-type".into(), 5));
    let domains = "succession chain --history root.ledger --anchor thief.cose --out no.chain";
    assert_eq!(desk.refused(domains), ("usage".into(), 2));
    assert_eq!(desk.refused("succession chain --out no.chain"), ("usage".into(), 2));
}

#[test]
fn a_succession_that_is_replayed_or_skips_one_is_refused() {
    let desk = Desk::new();
    desk.succeed("root", "second");
    desk.workshop.write("first.request", &desk.workshop.read("second.request"));
    desk.go_on("root", "second");
    // The request again, to the new root; and one for a number that is not the next.
    let replay =
        "succession grant first.request --key second.pem --ledger second.ledger --yes --out no.succession";
    assert_eq!(desk.refused(replay).0, "succession-key");
    desk.ok("succession request --key third.pem --name third --history root.ledger --out third.request");
    let skipped = "succession grant third.request --key root.pem --anchor root.cose --no-ledger --yes --out no.succession";
    assert_eq!(desk.refused(skipped), ("succession-order".into(), 6));
    desk.ok("succession request --key thief.pem --name thief --anchor root.cose --out thief.request");
    let old =
        "succession grant thief.request --key second.pem --ledger second.ledger --yes --out no.succession";
    assert_eq!(desk.refused(old), ("succession-forked".into(), 6));
    // A root that was replaced does not return.
    let back = "succession request --key root.pem --name again --history second.ledger --out no.request";
    assert_eq!(desk.refused(back), ("succession-key".into(), 6));
}

#[test]
fn a_key_certifies_what_it_is_there_for() {
    let desk = Desk::new();
    let issue = |key: &str, role: &str| {
        format!(
            "credential issue --key {key}.pem --ledger {key}.ledger --for ci.cose --subject ci --role {role} --vendor \
             anchorage.example --out no.cwt"
        )
    };
    for role in ["release", "service", "identity"] {
        assert_eq!(desk.refused(&issue("recovery", role)), ("anchor-rights".into(), 6), "{role}");
    }
    let list = "revoke --lowest-generation device=1 --key recovery.pem --ledger recovery.ledger --none-published --out no.list";
    assert_eq!(desk.refused(list), ("anchor-rights".into(), 6));
    desk.ok(
        "ledger init third.ledger --key third.pem --name owner --purpose owner-root --holder Ada --kept safe",
    );
    assert_eq!(desk.refused(&issue("third", "release")), ("anchor-rights".into(), 6));
    desk.ok(&issue("third", "service"));
    desk.ok(
        "ledger init thief.ledger --key thief.pem --name line --purpose issuing --domain-anchor root.cose --holder A --kept k",
    );
    assert_eq!(desk.refused(&issue("thief", "service")), ("anchor-rights".into(), 6));
    let of = |more: &str| {
        let line = format!("ledger init no.ledger --key second.pem --name x --holder A --kept k {more}");
        desk.workshop.run(&[&["--json"], &split(&line)[..]].concat()).refusal()
    };
    assert_eq!(of("--purpose recovery-root"), ("usage".into(), 2));
    assert_eq!(of("--purpose issuing --domain-anchor second.cose"), ("usage".into(), 2));
    // A successor that gave a right up.
    desk.ok(
        "succession request --key second.pem --name second --history root.ledger --rights governance,succession --out \
         second.request",
    );
    desk.ok(
        "succession grant second.request --key root.pem --ledger root.ledger --yes --out second.succession",
    );
    desk.go_on("root", "second");
    assert_eq!(desk.refused(&issue("second", "release")), ("anchor-rights".into(), 6));
    assert_eq!(of("--purpose owner-root --continues root.ledger"), ("usage".into(), 2));
}

/// What the roots before certified and took back is known to the next one.
#[test]
fn a_successor_goes_on_from_what_the_ledger_before_knows() {
    let desk = Desk::new();
    desk.issue("root", "ci", "--role release --generation 3");
    desk.issue("root", "service", "--role service");
    desk.ok(
        "revoke ci --minimum *=5 --vendor anchorage.example --key root.pem --ledger root.ledger --none-published --out \
         root.list",
    );
    desk.succeed("root", "second");
    desk.go_on("root", "second");
    // A stolen key is not certified again; its name is not given to another one; the next may sign above it.
    let stolen = "credential issue --key second.pem --ledger second.ledger --for ci.cose --subject ci --role release --vendor \
                  anchorage.example --out no.cwt";
    assert_eq!(desk.refused(stolen), ("key-revoked".into(), 6));
    let name = "credential issue --key second.pem --ledger second.ledger --for third.cose --subject ci --role release --vendor \
                anchorage.example --out no.cwt";
    assert_eq!(desk.refused(name), ("ledger-name-taken".into(), 2));
    let next = desk.issue("second", "third", "--role release");
    assert_eq!(
        (&next["generation"], &next["sequence_ceiling"]),
        (&json!(3), &json!(0xFFFF_FFFFu64 + (1 << 20)))
    );
    // A key keeps its role.
    let role = "credential issue --key second.pem --ledger second.ledger --for service.cose --subject service --role operator \
                --vendor anchorage.example --out no.cwt";
    assert_eq!(desk.refused(role), ("key-has-role".into(), 4));
    // The first list states the minimum, whatever else it is made for.
    let list =
        desk.ok("revoke third --key second.pem --ledger second.ledger --none-published --out second.list");
    assert_eq!((&list["list_sequence"], &list["minimum_sequences"][0]["sequence"]), (&json!(1), &json!(5)));
}
