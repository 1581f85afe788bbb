//! Ends what died and deletes what nobody can resume any more. Not reached by HTTP: a schedule invokes it.
fn main() -> std::process::ExitCode {
    shared::runtime::serve_sweep()
}
