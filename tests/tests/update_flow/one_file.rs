//! A release as one file, by a tool for UDS that is not ours, over the bus.

use can_bus::{Bus, IsoTpChannel, Tester};
use device_harness::factory::FILE_URI;
use serde_json::json;
use system_tests::plain;
use update_protocol::profile::{self, Component};

use crate::bench::{Bench, Life};

/// The node address that the provisioning block says.
const NODE: u8 = 0x21;

impl Bench {
    /// Writes `N.suit` and `N.bin`, and makes one file of both.
    fn one_file(&self, sequence: u64) -> Vec<u8> {
        self.release_by(&self.factory, sequence, Life::Confirms, |update| update.uri = FILE_URI.to_owned());
        let [envelope, image, file] = ["suit", "bin", "file"].map(|end| format!("{sequence}.{end}"));
        self.manifest_tool(&["integrate", &envelope, "--image", &image, "--out", &file]);
        self.read(&file)
    }

    /// A tool sends so much of a file, and resets the device.
    fn send_file(&self, file: &[u8], len: usize) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let bus = Bus::open(&self.bus.parse()?).await?;
            let mut tester = Tester::new(IsoTpChannel::new(bus, profile::tester_addressing(NODE)));
            let sent = plain::send_file(&mut tester, Component::Firmware, file, len).await;
            tester.hard_reset().await?;
            sent
        })
    }
}

#[test]
fn a_plain_tool_installs_one_file() {
    let (bench, _sim) = Bench::with_device();
    let file = bench.one_file(2);
    // It stops half-way: the device goes on with what it has, and takes the whole file later.
    bench.send_file(&file, 50_000).unwrap();
    assert_eq!(bench.info()["version"], "1.0.0");
    bench.send_file(&file, file.len()).unwrap();
    let info = bench.info();
    assert_eq!((&info["version"], &info["sequence_floor"]), (&json!("2.0.0"), &json!(2)));
    // A head that nobody signed is refused where it ends.
    let mut forged = bench.one_file(3);
    forged[40] ^= 1;
    let refused = bench.send_file(&forged, forged.len());
    assert!(plain::refusal(&refused).is_some(), "{refused:?}");
    assert_eq!(bench.info()["version"], "2.0.0");
    // Our host goes on with what a tool has begun.
    bench.send_file(&bench.read("3.file"), 50_000).unwrap();
    let ended = bench.update(3, &[]);
    ended.is_result("confirmed", 0);
    assert!(ended.last["bytes_sent"].as_u64() < Some(40_000), "{:?}", ended.last);
}
