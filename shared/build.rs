//! The migrations are embedded by a macro, which doesn't see a file that is added. This makes cargo look.

fn main() {
    println!("cargo::rerun-if-changed=../migrations");
}
