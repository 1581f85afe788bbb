//! `GET /v1/conversations/{id}/messages/{messageId}`
fn main() -> std::process::ExitCode {
    functions::serve(functions::messages::get::ENDPOINT, functions::messages::get::route())
}
