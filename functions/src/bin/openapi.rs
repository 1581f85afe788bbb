//! `GET /v1/openapi.json`
fn main() -> std::process::ExitCode {
    functions::serve(functions::openapi::ENDPOINT, functions::openapi::route())
}
