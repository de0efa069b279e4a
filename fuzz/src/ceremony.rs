//! What comes into the room and what comes out of it: plans, bundles, transcripts. A bundle is written as it was read, and
//! none of its names leads out of a folder; a plan fits onto a page.

use std::path::Path;

use manifest_tool::ceremony::bundle::Bundle;
use manifest_tool::ceremony::plan::{Plan, page};
use manifest_tool::ceremony::transcript::{Event, Transcript};
use trust::UnixTime;

const PLAN: &str = "format = 1\npurpose = \"a root\"\nvendor = \"example.com\"\n[[person]]\nname = \"Ada\"\n\
                    roles = [\"operator\", \"witness\", \"custodian\"]\n[root]\nname = \"root\"\nholder = \"Ada\"\n\
                    kept = \"safe\"\nmake = \"root.pem\"\n[[key]]\nname = \"ci\"\nrole = \"release\"\nholder = \"Bob\"\n\
                    kept = \"CI\"\nmake = \"ci.pem\"\n";

/// The bytes as a bundle, as a plan and as a transcript.
pub(crate) fn ceremony(data: &[u8]) -> bool {
    let mut taken = false;
    if let Ok(bundle) = Bundle::decode(data) {
        taken = true;
        assert_eq!(bundle.encode().as_deref(), Ok(data));
        for (name, _) in bundle.files() {
            let inside = Path::new(name).components();
            assert!(inside.into_iter().all(|part| matches!(part, std::path::Component::Normal(_))), "{name}");
        }
    }
    if let Ok(plan) = Plan::parse(Path::new("plan"), data.to_vec()) {
        taken = true;
        assert!(page::text(&plan).lines().count() <= page::PAGE_LINES);
        assert!(!plan.steps().is_empty());
    }
    if let Ok(transcript) = Transcript::parse(Path::new("folder"), data.to_vec()) {
        taken = true;
        assert!(transcript.opened().is_some());
    }
    taken
}

pub(crate) fn ceremony_seeds() -> Vec<Vec<u8>> {
    let files = vec![("ci.cose".to_owned(), vec![1; 40]), ("a/b.cwt".to_owned(), vec![2; 600])];
    let bundle = Bundle::new(files).and_then(|bundle| bundle.encode()).unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let mut transcript = Transcript::new(folder.path());
    for event in [
        Event::Open { format: 1, purpose: "a root".into(), plan: ledger::Hex([1; 32]), rehearsal: false },
        Event::Begin { step: "present".into(), title: "all".into(), ledger: None },
        Event::NotConfirmed { step: "present".into(), asked: "who".into() },
    ] {
        transcript.append(event, UnixTime(1)).unwrap();
    }
    vec![PLAN.as_bytes().to_vec(), bundle, transcript.bytes().to_vec()]
}
