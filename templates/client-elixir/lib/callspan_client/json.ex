defmodule CallspanClient.Json do
  @moduledoc """
  JSON, because Elixir has it only from 1.18 on: there, use its module `JSON` and delete this file. On older ones with
  Hex, Jason does as well.

  Objects are maps with strings as keys, and null is nil.
  """

  @doc "Gives the JSON text of a value."
  def encode(value), do: value |> text() |> IO.iodata_to_binary()

  @doc "Reads a JSON text; raises an ArgumentError that names the place where it is none."
  def decode!(text) do
    {value, rest} = text |> skip() |> value()

    case skip(rest) do
      "" -> value
      more -> wrong(more)
    end
  catch
    {:wrong, rest} -> raise ArgumentError, "no JSON from byte #{byte_size(text) - byte_size(rest)} on"
  end

  defp text(nil), do: "null"
  defp text(value) when is_boolean(value) or is_integer(value) or is_float(value), do: to_string(value)
  defp text(value) when is_atom(value), do: value |> Atom.to_string() |> text()

  defp text(value) when is_binary(value) do
    String.valid?(value) || raise ArgumentError, "not UTF-8, and so no text of JSON: #{inspect(value)}"
    [?", for(<<character::utf8 <- value>>, do: escaped(character)), ?"]
  end

  defp text(value) when is_list(value), do: [?[, value |> Enum.map(&text/1) |> Enum.intersperse(?,), ?]]

  defp text(value) when is_map(value) do
    members = for {key, one} <- value, do: [text(to_string(key)), ?:, text(one)]
    [?{, Enum.intersperse(members, ?,), ?}]
  end

  defp escaped(character) when character in [?", ?\\], do: [?\\, character]
  defp escaped(character) when character < 0x20, do: :io_lib.format("\\u~4.16.0b", [character])
  defp escaped(character), do: <<character::utf8>>

  defp value(<<?", rest::binary>>), do: string(rest, "")
  defp value(<<?[, rest::binary>>), do: rest |> skip() |> first_item()
  defp value(<<?{, rest::binary>>), do: rest |> skip() |> first_member()
  defp value("true" <> rest), do: {true, rest}
  defp value("false" <> rest), do: {false, rest}
  defp value("null" <> rest), do: {nil, rest}

  defp value(text) do
    case Regex.run(~r/\A-?(?:0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)/, text) do
      [number, ""] -> {String.to_integer(number), behind(text, number)}
      [number, _fraction] -> {float(number, text), behind(text, number)}
      nil -> wrong(text)
    end
  end

  # What is too large for a float is no number here.
  defp float(number, text) do
    case Float.parse(number) do
      {value, ""} -> value
      _ -> wrong(text)
    end
  end

  defp behind(text, part), do: binary_part(text, byte_size(part), byte_size(text) - byte_size(part))

  defp first_item(<<?], rest::binary>>), do: {[], rest}
  defp first_item(text), do: items(text, [])

  defp items(text, before) do
    {one, rest} = value(text)

    case skip(rest) do
      <<?,, rest::binary>> -> rest |> skip() |> items([one | before])
      <<?], rest::binary>> -> {Enum.reverse([one | before]), rest}
      rest -> wrong(rest)
    end
  end

  defp first_member(<<?}, rest::binary>>), do: {%{}, rest}
  defp first_member(text), do: members(text, %{})

  defp members(<<?", rest::binary>>, before) do
    {key, rest} = string(rest, "")
    {one, rest} = rest |> skip() |> behind_colon() |> value()
    object = Map.put(before, key, one)

    case skip(rest) do
      <<?,, rest::binary>> -> rest |> skip() |> members(object)
      <<?}, rest::binary>> -> {object, rest}
      rest -> wrong(rest)
    end
  end

  defp members(text, _before), do: wrong(text)

  defp behind_colon(<<?:, rest::binary>>), do: skip(rest)
  defp behind_colon(text), do: wrong(text)

  defp string(<<?", rest::binary>>, read), do: {read, rest}
  defp string(<<"\\u", rest::binary>> = text, read), do: unicode(code(rest, text), text, read)
  defp string(<<?\\, escape, rest::binary>>, read) when escape in [?", ?\\, ?/], do: string(rest, read <> <<escape>>)
  defp string(<<"\\b", rest::binary>>, read), do: string(rest, read <> "\b")
  defp string(<<"\\f", rest::binary>>, read), do: string(rest, read <> "\f")
  defp string(<<"\\n", rest::binary>>, read), do: string(rest, read <> "\n")
  defp string(<<"\\r", rest::binary>>, read), do: string(rest, read <> "\r")
  defp string(<<"\\t", rest::binary>>, read), do: string(rest, read <> "\t")

  defp string(<<character::utf8, rest::binary>>, read) when character >= 0x20 and character != ?\\,
    do: string(rest, read <> <<character::utf8>>)

  defp string(text, _read), do: wrong(text)

  # Characters beyond the first 65,536 are written as two halves.
  defp unicode({high, <<"\\u", rest::binary>>}, text, read) when high in 0xD800..0xDBFF do
    case code(rest, text) do
      {low, rest} when low in 0xDC00..0xDFFF ->
        string(rest, read <> <<0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00::utf8>>)

      _ ->
        wrong(text)
    end
  end

  defp unicode({half, _rest}, text, _read) when half in 0xD800..0xDFFF, do: wrong(text)
  defp unicode({character, rest}, _text, read), do: string(rest, read <> <<character::utf8>>)

  defp code(<<digits::binary-size(4), rest::binary>>, text) do
    if digits =~ ~r/\A[0-9a-fA-F]{4}\z/, do: {String.to_integer(digits, 16), rest}, else: wrong(text)
  end

  defp code(_rest, text), do: wrong(text)

  defp skip(<<space, rest::binary>>) when space in [?\s, ?\t, ?\r, ?\n], do: skip(rest)
  defp skip(text), do: text

  defp wrong(rest), do: throw({:wrong, rest})
end
