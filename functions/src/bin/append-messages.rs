//! `POST /v1/conversations/{id}/messages`
fn main() -> std::process::ExitCode {
    functions::serve(functions::messages::append::ENDPOINT, functions::messages::append::route())
}
