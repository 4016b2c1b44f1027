// `openai` for JavaScript: chat completions.

import { STEP, stopOf } from "./base.mjs";

export function params(ask) {
  return {
    model: ask.model,
    messages: ask.turns.map(message),
    max_tokens: ask.max_tokens,
    ...(ask.temperature !== null && { temperature: ask.temperature }),
    ...(ask.stream && { stream_options: { include_usage: true } }),
    ...(ask.has_tool && { tools: [{ type: "function", function: { name: "step", parameters: STEP } }] }),
    ...(ask.must_call && { tool_choice: "required" }),
    ...(ask.schema && {
      response_format: { type: "json_schema", json_schema: { name: "answer", schema: ask.schema, strict: true } },
    }),
  };
}

export const create = (client, body, options) => client.chat.completions.create(body, options);
export const open = (client, body, options) => client.chat.completions.stream(body, options);
export const final = (stream) => stream.finalChatCompletion();

export function count(event, seen) {
  const delta = event.choices[0]?.delta;
  seen.pieces += delta?.content ? 1 : 0;
  seen.argument_pieces += delta?.tool_calls?.some((call) => call.function?.arguments) ? 1 : 0;
}

export function read(answer) {
  const { message, finish_reason } = answer.choices[0];
  return {
    text: message.content ?? "",
    calls: (message.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.function.name,
      arguments: JSON.parse(call.function.arguments),
    })),
    stop: stopOf(finish_reason),
    input_tokens: answer.usage?.prompt_tokens ?? 0,
    cached_tokens: answer.usage?.prompt_tokens_details?.cached_tokens ?? 0,
    output_tokens: answer.usage?.completion_tokens ?? 0,
  };
}

function message(turn) {
  if (turn.by === "tool") return { role: "tool", tool_call_id: turn.call, content: turn.text ?? "" };
  if (turn.by === "model") {
    const calls = (turn.calls ?? []).map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: JSON.stringify(call.arguments) },
    }));
    return { role: "assistant", content: turn.text || null, ...(calls.length && { tool_calls: calls }) };
  }
  if (!turn.images) return { role: turn.by, content: turn.text };
  const images = turn.images.map((url) => ({ type: "image_url", image_url: { url } }));
  return { role: "user", content: [{ type: "text", text: turn.text }, ...images] };
}
