defmodule CallspanClient.Chat do
  @moduledoc "A conversation with a tool that is a function of this program."

  alias CallspanClient.Json

  @most_rounds 4

  # What the model is told of the tool. Its calls are valid by this schema: no hour but these is ever written.
  @tools [
    %{
      name: "set_alarm",
      description: "Set an alarm.",
      parameters: %{
        type: "object",
        properties: %{hour: %{type: "integer", description: "The hour", minimum: 0, maximum: 23}},
        required: ["hour"]
      }
    }
  ]

  def tools, do: @tools

  def call("set_alarm", %{"hour" => hour}),
    do: %{set: "#{hour |> Integer.to_string() |> String.pad_leading(2, "0")}:00"}

  @doc "Asks, runs the calls that the model makes, tells it their results, until it answers; gives the answer."
  def chat(client, question, show), do: turn(client, [%{role: "user", content: question}], show, 0)

  defp turn(_client, _messages, _show, @most_rounds), do: raise("no answer after #{@most_rounds} rounds")

  defp turn(client, messages, show, turn) do
    request = %{chat: %{messages: messages}, tools: @tools, stream: true}

    done =
      client
      |> CallspanClient.ask(%{generate: request})
      |> Enum.reduce(nil, fn frame, _ ->
        show.(get_in(frame, ["delta", "text"]) || "")
        frame["done"]
      end)

    case done["finish_reason"] do
      "invalid_call" ->
        raise done["error"]["message"]

      "tool_calls" ->
        # The model's ids begin anew in each turn, and results are matched by them.
        calls = for call <- done["tool_calls"], do: Map.update!(call, "id", &"#{turn}-#{&1}")
        asked = %{role: "assistant", content: done["content"] || "", tool_calls: calls}
        turn(client, messages ++ [asked | Enum.map(calls, &answered(&1, show))], show, turn + 1)

      _ ->
        show.("\n")
        done["content"] || ""
    end
  end

  defp answered(%{"id" => id, "name" => name, "arguments" => arguments}, show) do
    result = name |> run(Json.decode!(arguments)) |> Json.encode()
    show.("#{name} #{arguments} = #{result}\n")
    %{role: "tool", content: result, tool_call_id: id, name: name}
  end

  # The model is told of a failure as of a result.
  defp run(name, arguments) do
    call(name, arguments)
  rescue
    error -> %{error: Exception.message(error)}
  end
end
