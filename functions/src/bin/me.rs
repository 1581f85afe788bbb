//! `GET /v1/me`
fn main() -> std::process::ExitCode {
    functions::serve(functions::me::ENDPOINT, functions::me::route())
}
