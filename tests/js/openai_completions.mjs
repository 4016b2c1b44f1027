// `openai` for JavaScript: completions of before there were chats. The package has no helper for their streams.

import { stopOf } from "./base.mjs";

export function params(ask) {
  return {
    model: ask.model,
    prompt: ask.turns.map((turn) => turn.text).join("\n"),
    max_tokens: ask.max_tokens,
    ...(ask.temperature !== null && { temperature: ask.temperature }),
    ...(ask.stream && { stream: true, stream_options: { include_usage: true } }),
  };
}

export const create = (client, body, options) => client.completions.create(body, options);
export const open = create;

export function count(event, seen) {
  seen.pieces += event.choices[0]?.text ? 1 : 0;
  seen.events.push(event);
}

export function final(_stream, seen) {
  const choices = seen.events.flatMap((event) => event.choices);
  return {
    choices: [
      {
        text: choices.map((choice) => choice.text).join(""),
        finish_reason: choices.findLast((choice) => choice.finish_reason)?.finish_reason,
      },
    ],
    usage: seen.events.findLast((event) => event.usage)?.usage,
  };
}

export function read(answer) {
  return {
    text: answer.choices[0].text,
    stop: stopOf(answer.choices[0].finish_reason),
    input_tokens: answer.usage?.prompt_tokens ?? 0,
    cached_tokens: answer.usage?.prompt_tokens_details?.cached_tokens ?? 0,
    output_tokens: answer.usage?.completion_tokens ?? 0,
  };
}
