package dev.arblast.internal;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Random;

/** Right columns for the methods that take some, in buffers that are used again and again. */
class ColumnSource {
  private final Batch lines = new Batch(1, 0);
  private final Batch pairs = new Batch(2, 0);
  private final Batch events = new Batch(Batch.EVENT_TEXTS, Batch.EVENT_NUMBERS);
  private final List<String> texts = Samples.lines();
  private ByteBuffer[] buffers;

  /** Fills columns for a method; gives the number of rows. */
  int fill(String method, Random random) {
    Batch batch = method.equals("pushLines") ? lines : method.equals("pushPairs") ? pairs : events;
    batch.clear();
    for (int rows = random.nextInt(40); rows >= 0; rows--) {
      row(batch, random);
      batch.endRow();
    }
    buffers = batch.buffers();
    return batch.rows();
  }

  /** What was filled. */
  ByteBuffer[] buffers() {
    return buffers;
  }

  private void row(Batch batch, Random random) {
    if (batch == lines) {
      batch.text(0).add(random.nextInt(30) == 0 ? "" : texts.get(random.nextInt(texts.size())));
    } else if (batch == pairs) {
      Samples.pair(batch, random.nextInt(40), random.nextInt(30));
    } else {
      event(batch, random);
    }
  }

  private static void event(Batch batch, Random random) {
    boolean special = random.nextInt(5) == 0;
    batch.text(0).add(special ? "$set" : "buy");
    batch.text(1).add(special ? "item" : "user");
    batch.text(2).add("ü" + random.nextInt(30));
    batch.text(3).add(special ? null : "item");
    batch.text(4).add(special ? null : "i" + random.nextInt(30));
    batch.text(5).add(special ? "{\"a\":[1,\"ü\"]}" : null);
    batch.text(6).add(random.nextBoolean() ? "id" + random.nextInt() : null);
    batch.text(7).add(random.nextBoolean() ? "2023-01-02T03:04:05.678+09:00" : null);
    batch.text(8).add((String) null);
    batch.number(0, random.nextInt(9) == 0 ? random.nextLong() : 1_690_000_000_000_000L);
    batch.number(1, random.nextBoolean() ? null : Long.valueOf(random.nextLong() >> random.nextInt(40)));
  }
}
