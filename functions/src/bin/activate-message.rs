//! `POST /v1/conversations/{id}/messages/{messageId}/activate`
fn main() -> std::process::ExitCode {
    functions::serve(functions::messages::activate::ENDPOINT, functions::messages::activate::route())
}
