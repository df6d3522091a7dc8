defmodule CallspanClient.JsonTest do
  use ExUnit.Case, async: true

  alias CallspanClient.Json

  test "what is written is read back" do
    for value <- [
          nil,
          true,
          0,
          -12,
          1.5,
          1.0e-300,
          "",
          "a\"b\\c\n\t\0/é😀\u2028",
          [],
          [1, [2], %{}],
          %{"a" => %{"b" => [false, nil]}, "" => "empty"}
        ] do
      assert value |> Json.encode() |> Json.decode!() == value
    end
  end

  test "atoms are texts, as keys and as values" do
    assert Json.encode(%{role: :user}) == ~s({"role":"user"})
  end

  test "every spelling is read" do
    assert Json.decode!(~S( { "a" : [ 1e2 , -0.5E+1 , "\u00e9\uD83D\uDE00\/\b\f\n\r\t" ] } )) ==
             %{"a" => [100.0, -5.0, "é😀/\b\f\n\r\t"]}
  end

  test "what is no JSON is refused, with its place" do
    for {text, at} <- [
          {"", 0},
          {"nul", 0},
          {"01", 1},
          {"1.", 1},
          {"1e999", 0},
          {"[1,]", 3},
          {"[1 2]", 3},
          {~s({"a" 1}), 5},
          {"{a:1}", 1},
          {~s("a), 2},
          {"\"a\nb\"", 2},
          {~S("\x"), 1},
          {~S("\ud83d"), 1},
          {~S("\u12g4"), 1},
          {<<?", 255, ?">>, 1},
          {"1 2", 2}
        ] do
      assert_raise ArgumentError, "no JSON from byte #{at} on", fn -> Json.decode!(text) end
    end
  end

  test "what is no text of JSON is not written" do
    assert_raise ArgumentError, ~r/not UTF-8/, fn -> Json.encode(%{a: <<255>>}) end
  end
end
