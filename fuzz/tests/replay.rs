//! Every input that a corpus keeps, through its target.

use std::path::PathBuf;

use flash_model::Random;
use fuzz_targets::{TARGETS, Target};

/// Of each seed.
const MUTATIONS: usize = 40;

fn corpus(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

/// Inputs that a fuzzer found and that are kept.
fn kept(name: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(corpus(name)) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

/// The name of the input that fails is in the output.
fn replay(target: &Target, name: &str, input: &[u8]) {
    println!("{}: {name}", target.name);
    (target.run)(input);
}

/// A seed that is refused at the door begins no mutation that gets further.
#[test]
fn every_seed_gets_past_the_parser() {
    for target in &TARGETS {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            assert!((target.run)(&seed), "{}: seed {number} is refused", target.name);
        }
    }
}

#[test]
fn the_corpora_hold() {
    for target in &TARGETS {
        for (name, input) in kept(target.name) {
            replay(target, &name, &input);
        }
    }
}

/// Seeds, their beginnings, and seeds with a byte that is another one.
#[test]
fn seeds_and_their_mutations_hold() {
    let mut random = Random(7);
    for target in &TARGETS {
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            replay(target, &format!("seed {number}"), &seed);
            for round in 0..MUTATIONS {
                let mut input = seed.clone();
                let at = usize::try_from(random.number()).unwrap_or(0) % input.len().max(1);
                match input.get_mut(at) {
                    Some(byte) if round % 4 > 0 => *byte ^= random.number().to_le_bytes()[0],
                    _ => input.truncate(at),
                }
                replay(target, &format!("seed {number}, mutation {round}"), &input);
            }
        }
    }
}

#[test]
fn each_corpus_belongs_to_a_target() {
    for entry in std::fs::read_dir(corpus("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(fuzz_targets::target(&name).is_some(), "no target has the name {name}");
    }
}
