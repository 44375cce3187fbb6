package dev.arblast.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where the library comes from, and what is said if it cannot. Each case in a JVM of its own, for a library is loaded once. */
class NativeLibraryTest {
  private static final String RESOURCE = "native/linux-x86_64/libarblast_jni.so";

  @TempDir Path folder;
  private Path elsewhere;

  @BeforeEach
  void makeFolder() throws IOException {
    elsewhere = Files.createDirectory(folder.resolve("elsewhere"));
  }

  /** Uses the library twice, as a task does that is tried again. */
  public static void main(String[] arguments) throws Exception {
    for (int attempt = 1; attempt <= 2; attempt++) {
      try {
        TrainingSession.part(Samples.PLAIN, Samples.NOW).close();
        System.out.println("works " + Native.close(0));
      } catch (Throwable error) {
        System.out.println(attempt + ": " + error);
      }
    }
    try (Stream<String> mapped = Files.lines(Paths.get("/proc/self/maps"))) {
      mapped.filter(line -> line.contains("arblast-")).map(line -> line.replaceAll(".* /", "mapped /")).distinct().forEach(System.out::println);
    }
  }

  private String use(String classPath, Path tmp, String... options) {
    List<String> all = new java.util.ArrayList<>(Arrays.asList(options));
    all.add("-Djava.io.tmpdir=" + tmp);
    return ChildJvm.run(all, classPath, NativeLibraryTest.class).succeeded().output;
  }

  private String use(Path tmp, String... options) {
    return use(System.getProperty("java.class.path"), tmp, options);
  }

  private static void assertWorks(String output, Path from) {
    assertTrue(output.startsWith("works 0\nworks 0\n"), output);
    assertTrue(output.contains("mapped " + from + "/arblast-") && output.contains("(deleted)"), output);
  }

  /** Both attempts fail, and both say why. */
  private static void assertFails(String output, String... words) {
    String[] lines = output.split("\n");
    for (int attempt = 0; attempt < 2; attempt++) {
      String line = lines[attempt];
      assertTrue(line.startsWith(attempt + 1 + ": java.lang.UnsatisfiedLinkError: "), output);
      Arrays.stream(words).forEach(word -> assertTrue(line.contains(word), () -> word + " is not in: " + output));
    }
  }

  private static void assertNothingIn(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      assertArrayEquals(new Object[0], files.filter(file -> !file.getFileName().toString().startsWith("hsperfdata")).toArray());
    }
  }

  @Test
  void theFileIsGoneAsSoonAsItIsLoaded() throws IOException {
    assertWorks(use(elsewhere), elsewhere);
    assertNothingIn(elsewhere);
  }

  @Test
  void anotherFolderCanBeNamed() throws IOException {
    Path named = folder.resolve("made/when/needed");
    assertWorks(use(elsewhere, "-Darblast.native.dir=" + named), named);
    assertNothingIn(named);
    assertNothingIn(elsewhere);
  }

  @Test
  void aLinkToAFolderIsAFolder() throws IOException {
    Path link = Files.createSymbolicLink(folder.resolve("link"), elsewhere);
    assertWorks(use(elsewhere, "-Darblast.native.dir=" + link), elsewhere);
    assertNothingIn(elsewhere);
  }

  @Test
  void aFolderThatForbidsToExecuteIsNamedWithTheRemedy() throws Exception {
    Path noexec = Files.createDirectory(folder.resolve("noexec"));
    boolean mounted = run("mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", noexec.toString()) == 0;
    if (!mounted) {
      System.out.println("skipped: this user may not mount a file system with noexec");
    }
    assumeTrue(mounted);
    try {
      assertFails(use(noexec), noexec.toString(), "noexec", "-Darblast.native.dir=", "ARBLAST_NATIVE_DIR", "spark.executor.extraJavaOptions");
      assertNothingIn(noexec);
      assertWorks(use(noexec, "-Darblast.native.dir=" + elsewhere), elsewhere);
    } finally {
      assertEquals(0, run("umount", noexec.toString()));
    }
  }

  @Test
  void aFolderThatCannotBeWrittenIsNamed() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    assertFails(use(elsewhere, "-Darblast.native.dir=" + file), "cannot write the native library to " + file);
  }

  @Test
  void anotherFileCanBeNamed() throws IOException {
    Path copy = Files.copy(ChildJvm.classes().resolve(RESOURCE), folder.resolve("copy.so"));
    assertTrue(use(elsewhere, "-Darblast.native.path=" + copy).startsWith("works 0\nworks 0\n"));
    assertTrue(Files.exists(copy), "a file that was named is not ours to delete");
    assertFails(use(elsewhere, "-Darblast.native.path=" + folder.resolve("none.so")), "none.so");
  }

  @Test
  void aLibraryOfAnotherBuildIsRefused() throws IOException {
    String own = identity();
    String other = own.replaceFirst(" [0-9a-z]", " X");
    Path file = patched("build.so", own.split(" ")[1], other.split(" ")[1]);
    assertFails(use(elsewhere, "-Darblast.native.path=" + file), "another build", file.toString(), "is " + other, "expects " + own);
  }

  /** Other methods than Java declares: what tells is still the identity. */
  @Test
  void aLibraryWithOtherMethodsIsRefused() throws IOException {
    String own = identity();
    String other = own.replaceFirst(" [0-9a-z]", " X");
    Path file = patched("methods.so", own.split(" ")[1], other.split(" ")[1], "addBlock", "addBlick");
    assertFails(use(elsewhere, "-Darblast.native.path=" + file), "another build", "is " + other, "expects " + own);
  }

  @Test
  void aDamagedLibraryInTheJarIsRefused() throws IOException {
    Path classes = folder.resolve("classes");
    copyTree(ChildJvm.classes(), classes);
    byte[] library = Files.readAllBytes(classes.resolve(RESOURCE));
    library[library.length / 2] ^= 1;
    Files.write(classes.resolve(RESOURCE), library);
    assertFails(use(ChildJvm.classPathWith(classes), elsewhere), "damaged", "SHA-256");
    assertNothingIn(elsewhere);
    Files.delete(classes.resolve(RESOURCE));
    assertFails(use(ChildJvm.classPathWith(classes), elsewhere), "no native library for linux-x86_64", "-Darblast.native.path=");
  }

  private static String identity() throws IOException {
    Properties properties = new Properties();
    properties.load(new java.io.StringReader(
        new String(Files.readAllBytes(ChildJvm.classes().resolve("native/linux-x86_64/identity.properties")), StandardCharsets.UTF_8)));
    return properties.getProperty("identity");
  }

  /** A copy of the library in which texts are others of the same length, given in pairs. */
  private Path patched(String name, String... texts) throws IOException {
    String library = new String(Files.readAllBytes(ChildJvm.classes().resolve(RESOURCE)), StandardCharsets.ISO_8859_1);
    for (int i = 0; i < texts.length; i += 2) {
      assertTrue(library.contains(texts[i]) && texts[i].length() == texts[i + 1].length(), texts[i]);
      library = library.replace(texts[i], texts[i + 1]);
    }
    return Files.write(folder.resolve(name), library.getBytes(StandardCharsets.ISO_8859_1));
  }

  private static void copyTree(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
  }

  private static int run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.INHERIT).start();
    assertTrue(process.waitFor(10, TimeUnit.SECONDS), String.join(" ", command));
    return process.exitValue();
  }
}
