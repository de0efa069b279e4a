//! The migrations are compiled in; a new file among them has to rebuild the crate.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
