package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.arblast.internal.LiveObjects.Kind;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;

/**
 * Calls native methods at random: every other call with a key of an open object, every other argument right. A call may succeed or
 * throw what the border documents, and nothing else.
 */
final class BorderFuzz {
  static final List<Class<?>> DOCUMENTED =
      Arrays.asList(
          IllegalArgumentException.class, IllegalStateException.class, NoSuchElementException.class, SecurityException.class,
          dev.arblast.UnavailableException.class, dev.arblast.VersionException.class, dev.arblast.CorruptDataException.class,
          CancellationException.class);
  /** All of {@link Native}, so that a new one takes part, in an order that the seed can count on. */
  static final List<Method> METHODS =
      Arrays.stream(Native.class.getDeclaredMethods())
          .filter(method -> Modifier.isNative(method.getModifiers()))
          .sorted(Comparator.comparing(Method::toString))
          .collect(Collectors.toList());
  /** Calls after which an object is another. */
  private static final List<String> USE_UP = Arrays.asList("start", "portion", "merge", "close", "stop", "addBlock", "nextEvents", "commit");
  /** Objects that most calls of a method are for; of the others any. */
  private static final Map<String, Kind[]> KINDS = new TreeMap<>();
  /** Numbers that mean something to a method. */
  private static final Map<String, int[]> NUMBERS = new TreeMap<>();

  static {
    Kind[] reading = {Kind.READING, Kind.RICH, Kind.DISTINCT, Kind.PART};
    Arrays.asList("pushLines", "pushText", "pushEvents", "pushPairs", "merge", "portion").forEach(method -> KINDS.put(method, reading));
    KINDS.put("start", new Kind[] {Kind.READING, Kind.RICH, Kind.DISTINCT, Kind.TRAINING, Kind.TRAINED, Kind.KEPT});
    KINDS.put("addBlock", new Kind[] {Kind.TRAINING});
    KINDS.put("counting", new Kind[] {Kind.TRAINING});
    Arrays.asList("block", "openSums", "addSums part").forEach(method -> KINDS.put(method, new Kind[] {Kind.COUNTING}));
    Arrays.asList("addSums", "sums").forEach(method -> KINDS.put(method, new Kind[] {Kind.SUMS}));
    KINDS.put("answer", new Kind[] {Kind.ANSWERING});
    KINDS.put("table", new Kind[] {Kind.ANSWERING, Kind.READ_ONLY});
    KINDS.put("nextEvents", new Kind[] {Kind.CURSOR});
    Arrays.asList("addEvents", "commit").forEach(method -> KINDS.put(method, new Kind[] {Kind.APPEND}));
    NUMBERS.put("pushPairs", new int[] {0, 1});
    NUMBERS.put("tell", new int[] {0, 1, 2, 3, 4, 5, 6, 7});
    NUMBERS.put("count", new int[] {0, 1, 2, 3, 4, 5, 10, 11, 12, 20, 21});
    NUMBERS.put("answer", new int[] {0, 1});
    NUMBERS.put("pushText", new int[] {-1, 0, 1});
    Arrays.asList("block", "openSums").forEach(method -> NUMBERS.put(method, new int[] {0, 1, 5, 20, 40}));
    NUMBERS.put("table", new int[] {0, 1, 2, 20, 40});
  }

  private final Random random;
  private final Mutator mutator;
  private final Samples samples;
  private final LiveObjects objects;
  private final Path folder;
  private final ColumnSource columns;
  /** By method and outcome, how often. */
  final Map<String, Map<String, Integer>> outcomes = new TreeMap<>();

  BorderFuzz(long seed, Samples samples, LiveObjects objects, Path folder, ColumnSource columns) {
    this.random = new Random(seed);
    this.mutator = new Mutator(random);
    this.samples = samples;
    this.objects = objects;
    this.folder = folder;
    this.columns = columns;
  }

  /** Where a crash of the JVM leaves its last call, for it leaves no stack of ours. */
  private static void note(ByteBuffer journal, long seed, int call, Method method) {
    byte[] text = String.format("seed %d call %d %-12s%n", seed, call, method.getName()).getBytes(UTF_8);
    journal.duplicate().put(text);
  }

  /** As many calls; fails at the first that does what it must not. */
  static Map<String, Map<String, Integer>> run(
      long seed, int calls, Samples samples, LiveObjects objects, Path folder, ColumnSource columns, ByteBuffer journal) {
    BorderFuzz fuzz = new BorderFuzz(seed, samples, objects, folder, columns);
    for (int call = 0; call < calls; call++) {
      Method method = METHODS.get(fuzz.random.nextInt(METHODS.size()));
      note(journal, seed, call, method);
      String broken = fuzz.call(method);
      if (broken != null) {
        throw new AssertionError("seed " + seed + ", call " + call + ": " + broken);
      }
    }
    return fuzz.outcomes;
  }

  /** Does one call; says what it did wrong. */
  private String call(Method method) {
    Object[] arguments = arguments(method);
    String outcome = "success";
    String broken = null;
    try {
      Object result = method.invoke(null, arguments);
      if (result == null && method.getReturnType() != void.class) {
        broken = "null for a result";
      } else if (method.getName().startsWith("open")) {
        objects.adopt((Long) result);
      }
    } catch (InvocationTargetException thrown) {
      Throwable cause = thrown.getCause();
      outcome = cause.getClass().getSimpleName();
      if (!DOCUMENTED.contains(cause.getClass()) || cause.getMessage() == null || cause.getMessage().isEmpty()) {
        broken = cause.toString();
      }
    } catch (IllegalAccessException impossible) {
      throw new AssertionError(impossible);
    }
    if (arguments.length > 0 && arguments[0] instanceof Long && USE_UP.contains(method.getName())) {
      objects.spent((Long) arguments[0]);
    }
    outcomes.computeIfAbsent(method.getName(), name -> new TreeMap<>()).merge(outcome, 1, Integer::sum);
    return broken == null ? null : method.getName() + described(arguments) + ": " + broken;
  }

  private Object[] arguments(Method method) {
    Class<?>[] types = method.getParameterTypes();
    Object[] arguments = new Object[types.length];
    boolean live = random.nextBoolean();
    int rows = 0;
    for (int i = types.length - 1; i >= 0; i--) {
      boolean right = live && random.nextInt(3) > 0;
      if (types[i] == long.class) {
        String name = method.getName() + (i == 1 && method.getName().equals("addSums") ? " part" : "");
        boolean key = !name.equals("llr") && (i == 0 || name.endsWith(" part"));
        arguments[i] = key ? key(name, live) : millis(name, right);
      } else if (types[i] == int.class) {
        boolean rowsOfColumns = i + 1 < types.length && types[i + 1] == ByteBuffer[].class;
        arguments[i] = !right && random.nextBoolean() ? mutator.small() : rowsOfColumns ? rows : number(method.getName());
      } else if (types[i] == byte[].class) {
        byte[] sample = sample(method.getName(), i);
        arguments[i] = right ? sample : harmless(mutator.bytes(sample), sample);
      } else if (types[i] == ByteBuffer[].class) {
        rows = columns.fill(method.getName(), random);
        arguments[i] = right ? columns.buffers() : mutator.columns(columns.buffers());
      } else if (types[i] == ByteBuffer.class) {
        byte[] text = String.join("\n", random.nextBoolean() ? Samples.lines() : Samples.COMMAS).getBytes(UTF_8);
        arguments[i] = buffer(right ? text : mutator.bytes(text));
      } else if (types[i] == boolean.class) {
        arguments[i] = random.nextBoolean();
      } else {
        throw new AssertionError("no arguments are known of the type of " + method);
      }
    }
    return arguments;
  }

  /** Most are direct, as they should be. */
  private ByteBuffer buffer(byte[] bytes) {
    return bytes == null ? null : random.nextInt(8) == 0 ? ByteBuffer.wrap(bytes) : Samples.direct(bytes);
  }

  private int number(String method) {
    int[] numbers = NUMBERS.getOrDefault(method, new int[] {0, 1, 2});
    return numbers[random.nextInt(numbers.length)];
  }

  /** A time, or how long to wait; that is short, for an object may be busy for long. */
  private long millis(String method, boolean right) {
    return method.equals("await") ? random.nextInt(4) - 1 : right ? Samples.NOW + random.nextInt(9) : mutator.number();
  }

  private long key(String method, boolean live) {
    if (live) {
      Kind[] kinds = random.nextInt(4) == 0 ? Kind.values() : KINDS.getOrDefault(method, Kind.values());
      return objects.pick(kinds[random.nextInt(kinds.length)], random);
    }
    switch (random.nextInt(4)) {
      case 0:
        return mutator.number();
      case 1:
        return objects.stale(random);
      case 2:
        long key = objects.pick(Kind.values()[random.nextInt(Kind.values().length)], random);
        return key ^ 1L << random.nextInt(64);
      default:
        return (long) random.nextInt(5) << 32 | random.nextInt(40);
    }
  }

  private byte[] sample(String method, int index) {
    String[] requests = samples.requests(folder);
    switch (method + index) {
      case "merge1":
        return samples.portion;
      case "start1":
        return requests[random.nextInt(requests.length)].getBytes(UTF_8);
      case "openCounting0":
        return samples.counting;
      case "addBlock1":
        return samples.blocks.get(random.nextInt(samples.blocks.size()));
      case "openModel0":
        String[] paths = {"", "/dev/null", folder.toString(), folder + "/none", "a\0b"};
        return (random.nextInt(4) == 0 ? paths[random.nextInt(paths.length)] : modelFile().toString()).getBytes(UTF_8);
      case "openEvents0":
      case "openAppend0":
        return samples.home();
      case "openEvents1":
      case "openAppend1":
        return Samples.APP;
      case "answer2":
        return Samples.QUERIES[random.nextInt(Samples.QUERIES.length)].getBytes(UTF_8);
      default:
        return Samples.ENGINES[random.nextInt(Samples.ENGINES.length)].getBytes(UTF_8);
    }
  }

  /** The model, or a damaged copy of it. */
  private Path modelFile() {
    if (random.nextBoolean()) {
      return samples.model;
    }
    try {
      byte[] bytes = mutator.bytes(Files.readAllBytes(samples.model));
      // Every copy has a name of its own: a model that is mapped must not change.
      Path file = Files.createTempFile(folder, "damaged", ".arblast");
      Files.write(file, bytes == null ? new byte[] {1} : bytes);
      file.toFile().deleteOnExit();
      return file;
    } catch (java.io.IOException error) {
      throw new AssertionError(error);
    }
  }

  /** Nothing is to be published elsewhere, nor on more than four threads, because a bit of a path or number has changed. */
  private byte[] harmless(byte[] mutated, byte[] right) {
    if (mutated == null) {
      return null;
    }
    String text = new String(mutated, UTF_8);
    boolean astray = text.contains("\"models\"") && !text.contains("\"models\":\"" + folder + "/");
    boolean many = text.matches("(?s).*\"threads\":\\s*([5-9]|\\d{2,4})\\D.*");
    return astray || many ? right : mutated;
  }

  private static String described(Object[] arguments) {
    return Arrays.stream(arguments).map(BorderFuzz::described).collect(Collectors.joining(", ", "(", ")"));
  }

  private static String described(Object argument) {
    if (argument instanceof byte[]) {
      byte[] bytes = (byte[]) argument;
      return bytes.length + " bytes " + new String(bytes, 0, Math.min(bytes.length, 400), UTF_8);
    }
    return argument instanceof ByteBuffer[] ? Arrays.toString((ByteBuffer[]) argument) : String.valueOf(argument);
  }

  /** Calls, folder, seed: for a JVM of its own. */
  public static void main(String[] arguments) {
    Path folder = Paths.get(arguments[1]);
    Samples samples = new Samples(folder.resolve("samples"));
    LiveObjects objects = new LiveObjects(samples);
    ByteBuffer journal = ByteBuffer.allocate(100);
    int calls = Integer.parseInt(arguments[0]);
    System.out.println(run(Long.parseLong(arguments[2]), calls, samples, objects, folder, new ColumnSource(), journal));
    objects.closeAll();
  }
}
