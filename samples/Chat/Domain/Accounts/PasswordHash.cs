using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Chat.Domain;

/// <summary>Passwords as they are kept: <c>pbkdf2-sha256$ROUNDS$SALT$KEY</c>, salt and key in Base64.</summary>
/// <remarks>Both methods take a tenth of a second and more of processor time, on purpose: not for a poller's or an actor's thread.</remarks>
public static class PasswordHash
{
    private const string Scheme = "pbkdf2-sha256";
    private const int Rounds = 600_000;
    private const int SaltBytes = 16;
    private const int KeyBytes = 32;

    /// <summary>The hash of a password, with a salt of its own.</summary>
    public static string Create(string password)
    {
        byte[] salt = RandomNumberGenerator.GetBytes(SaltBytes);
        return $"{Scheme}${Rounds}${Convert.ToBase64String(salt)}${Convert.ToBase64String(Key(password, salt, Rounds))}";
    }

    /// <summary>Whether it is the password of the hash. In constant time for a given hash.</summary>
    /// <exception cref="FormatException">The hash was not made by <see cref="Create"/>.</exception>
    public static bool Verify(string password, string hash)
    {
        (int rounds, byte[] salt, byte[] key) = Parse(hash);
        return CryptographicOperations.FixedTimeEquals(Key(password, salt, rounds), key);
    }

    /// <summary>Whether <see cref="Create"/> may have made it.</summary>
    public static bool IsHash(string hash)
    {
        try
        {
            Parse(hash);
            return true;
        }
        catch (FormatException)
        {
            return false;
        }
    }

    private static (int Rounds, byte[] Salt, byte[] Key) Parse(string hash)
    {
        string[] parts = hash.Split('$');
        if (parts.Length != 4 || parts[0] != Scheme
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int rounds) || rounds < 1)
        {
            throw new FormatException($"A password hash has the form {Scheme}$ROUNDS$SALT$KEY.");
        }

        byte[] key = Convert.FromBase64String(parts[3]);
        return key.Length == KeyBytes
            ? (rounds, Convert.FromBase64String(parts[2]), key)
            : throw new FormatException($"A password hash has a key of {KeyBytes} bytes.");
    }

    private static byte[] Key(string password, byte[] salt, int rounds)
        => Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, rounds, HashAlgorithmName.SHA256, KeyBytes);
}
