//! Brings the schema up to date. Not reached by HTTP: invoke it after each deployment.
fn main() -> std::process::ExitCode {
    shared::runtime::serve_migrate()
}
