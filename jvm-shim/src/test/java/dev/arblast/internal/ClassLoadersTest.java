package dev.arblast.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Collections;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The classes in several class loaders at once, as Spark does with jars of sessions: each has a library of its own. */
class ClassLoadersTest {
  @TempDir Path folder;

  @Test
  void twoLoadersTrainTheSameAndOneGoes() throws Exception {
    URLClassLoader stays = loader();
    URLClassLoader goes = loader();
    Function<Path, String> here = loaded(stays);
    Function<Path, String> there = loaded(goes);
    assertNotSame(here.getClass(), there.getClass());
    String digest = here.apply(folder.resolve("one"));
    assertTrue(digest.matches("[0-9a-f]{16,}"), digest);
    assertEquals(digest, there.apply(folder.resolve("two")));

    goes.close();
    WeakReference<ClassLoader> gone = new WeakReference<>(goes);
    there = null;
    goes = null;
    assertCollected(gone);
    assertEquals(digest, here.apply(folder.resolve("three")));
    stays.close();
  }

  /** Nobody waits for the work, and the code that it runs is about to be unloaded. */
  @Test
  void aLoaderGoesWhileItsWorkRuns() {
    ChildJvm child = ChildJvm.run(Collections.singletonList("-Xmx128m"), ClassLoadersTest.class).succeeded();
    assertTrue(child.output.matches("begun false\nthreads [1-9]\nthreads 0\n"), child.output);
  }

  /** For a JVM of its own: what goes wrong here ends it. */
  public static void main(String[] arguments) throws Exception {
    URLClassLoader loader = loader();
    System.out.println(loaded(loader).apply(null));
    System.out.println("threads " + workers());
    loader.close();
    WeakReference<ClassLoader> gone = new WeakReference<>(loader);
    loader = null;
    assertCollected(gone);
    // The JVM unloads the library some time after the classes; the work itself takes longer.
    for (int n = 0; n < 20 && workers() > 0; n++) {
      Thread.sleep(50);
    }
    System.out.println("threads " + workers());
  }

  /** Threads that begin with native work. */
  private static long workers() throws IOException {
    try (Stream<Path> threads = Files.list(Paths.get("/proc/self/task"))) {
      return threads.filter(thread -> "arblast".equals(nameOf(thread))).count();
    }
  }

  private static String nameOf(Path thread) {
    try {
      return Files.readAllLines(thread.resolve("comm")).get(0);
    } catch (IOException ended) {
      return "";
    }
  }

  private static void assertCollected(WeakReference<ClassLoader> loader) throws InterruptedException {
    for (int n = 0; n < 100 && loader.get() != null; n++) {
      System.gc();
      Thread.sleep(20);
    }
    assertNull(loader.get(), "the class loader is still there");
  }

  private static URLClassLoader loader() throws Exception {
    URL[] urls = {ChildJvm.classes().toUri().toURL(), ChildJvm.folderOf(LoadedElsewhere.class).toUri().toURL()};
    return new URLClassLoader(urls, ClassLoader.getSystemClassLoader().getParent());
  }

  @SuppressWarnings("unchecked")
  private static Function<Path, String> loaded(ClassLoader loader) throws Exception {
    return (Function<Path, String>) loader.loadClass(LoadedElsewhere.class.getName()).getDeclaredConstructor().newInstance();
  }
}
