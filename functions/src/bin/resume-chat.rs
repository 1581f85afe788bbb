//! `GET /v1/chat/{id}/stream`
fn main() -> std::process::ExitCode {
    functions::serve(functions::chat::resume::ENDPOINT, functions::chat::resume::route())
}
