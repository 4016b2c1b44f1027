// What all clients share: one line of JSON in, one out; what is thrown, left and counted.

export const STEP = {
  type: "object",
  properties: { k: { type: "integer" } },
  required: ["k"],
  additionalProperties: false,
};

const STOPS = {
  stop: "end",
  end_turn: "end",
  completed: "end",
  max_tokens: "length",
  max_output_tokens: "length",
  tool_calls: "tool_use",
};

export const stopOf = (word) => STOPS[word] ?? word ?? "";

/** Ask, and give what came of it in the words of `asks.Said`. `dialect` is a module such as `openai_chat.mjs`. */
export async function said(dialect, client, ask) {
  const seen = { pieces: 0, argument_pieces: 0, events: [] };
  const options = { timeout: ask.timeout_s * 1000 };
  try {
    if (!ask.stream) return dialect.read(await dialect.create(client, dialect.params(ask), options));
    const stream = await dialect.open(client, dialect.params(ask), options);
    for await (const event of stream) {
      dialect.count(event, seen);
      if (ask.leaves && seen.pieces) {
        stream.controller.abort();
        return { pieces: seen.pieces };
      }
    }
    const answer = dialect.read(await dialect.final(stream, seen));
    return { ...answer, pieces: seen.pieces, argument_pieces: seen.argument_pieces };
  } catch (error) {
    return { pieces: seen.pieces, failed: failedOf(error) };
  }
}

function failedOf(error) {
  return {
    kind: error.constructor.name,
    status: error.status ?? null,
    message: String(error.error?.error?.message ?? error.error?.message ?? error.message),
    has_request_id: Boolean(error.requestID),
  };
}
