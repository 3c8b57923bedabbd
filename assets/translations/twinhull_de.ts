<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
    <context>
        <name>ChordCard</name>
        <message>
            <source>Key combinations of this laptop</source>
            <translation>Tastenkombinationen dieses Laptops</translation>
        </message>
        <message>
            <source>They work wherever you are, and neither computer ever gets them. Esc ends a change.</source>
            <translation>Sie wirken überall, und keiner der Rechner bekommt sie je. Esc beendet eine Änderung.</translation>
        </message>
        <message>
            <source>Change</source>
            <translation>Ändern</translation>
        </message>
        <message>
            <source>Change the combination for: {action}</source>
            <translation>Kombination ändern für: {action}</translation>
        </message>
        <message>
            <source>Press the keys…</source>
            <translation>Tasten drücken…</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
    </context>
    <context>
        <name>ChordList</name>
        <message>
            <source>Key combinations of this laptop</source>
            <translation>Tastenkombinationen dieses Laptops</translation>
        </message>
        <message>
            <source>Always this laptop's own</source>
            <translation>Gehören immer diesem Laptop</translation>
        </message>
    </context>
    <context>
        <name>CodeView</name>
        <message>
            <source>Code {code}; {n} of {all} digits typed</source>
            <translation>Code {code}; {n} von {all} Ziffern eingetippt</translation>
        </message>
    </context>
    <context>
        <name>DevicePanel</name>
        <message>
            <source>Remember this answer</source>
            <translation>Antwort merken</translation>
        </message>
        <message>
            <source>Read only</source>
            <translation>Nur lesen</translation>
        </message>
        <message>
            <source> Corporate computer</source>
            <translation> Firmenrechner</translation>
        </message>
        <message>
            <source> Personal computer</source>
            <translation> Privatrechner</translation>
        </message>
        <message>
            <source>Nobody</source>
            <translation>Niemand</translation>
        </message>
        <message>
            <source>Later</source>
            <translation>Später</translation>
        </message>
        <message>
            <source>Answer by keyboard: {chord}</source>
            <translation>Antwort per Tastatur: {chord}</translation>
        </message>
        <message>
            <source>Is this new keyboard yours? Type these digits on it, then Enter.</source>
            <translation>Ist diese neue Tastatur Ihre? Tippen Sie darauf diese Ziffern, dann die Eingabetaste.</translation>
        </message>
        <message>
            <source>Which computer gets this device?</source>
            <translation>Welcher Rechner bekommt dieses Gerät?</translation>
        </message>
        <message>
            <source>{n} more after this</source>
            <translation>danach noch {n}</translation>
        </message>
        <message>
            <source>{n} of {all} digits typed.</source>
            <translation>{n} von {all} Ziffern eingetippt.</translation>
        </message>
        <message>
            <source>That was not the code. Type it again. After three wrong codes it is kept out.</source>
            <translation>Das war nicht der Code. Bitte noch einmal tippen. Nach drei falschen Codes wird sie ferngehalten.</translation>
        </message>
        <message>
            <source>{typed} Now Enter.</source>
            <translation>{typed} Jetzt die Eingabetaste.</translation>
        </message>
        <message>
            <source>You plugged in no keyboard? Then pull out what is in {place}: it says that it is one. Nothing it types reaches this laptop before its code was typed.</source>
            <translation>Sie haben keine Tastatur angesteckt? Dann ziehen Sie heraus, was hier steckt: {place}. Es gibt sich als Tastatur aus. Nichts, was es tippt, erreicht diesen Laptop, bevor sein Code eingetippt wurde.</translation>
        </message>
        <message>
            <source>Give {name} to the corporate computer</source>
            <translation>{name} dem Firmenrechner geben</translation>
        </message>
        <message>
            <source>Give {name} to the personal computer</source>
            <translation>{name} dem Privatrechner geben</translation>
        </message>
        <message>
            <source>Give {name} to nobody</source>
            <translation>{name} niemandem geben</translation>
        </message>
        <message>
            <source>Give {name} to be read only</source>
            <translation>{name} nur zum Lesen geben</translation>
        </message>
        <message>
            <source>Decide about {name} later</source>
            <translation>Über {name} später entscheiden</translation>
        </message>
    </context>
    <context>
        <name>DevicePlace</name>
        <message>
            <source>Drop it here</source>
            <translation>Hier ablegen</translation>
        </message>
        <message>
            <source>The rules keep it from here</source>
            <translation>Die Regeln lassen es hier nicht zu</translation>
        </message>
    </context>
    <context>
        <name>DeviceRow</name>
        <message>
            <source>Read only</source>
            <translation>Nur lesen</translation>
        </message>
        <message>
            <source>Details</source>
            <translation>Details</translation>
        </message>
        <message>
            <source>To nobody</source>
            <translation>An niemanden</translation>
        </message>
        <message>
            <source>Take back</source>
            <translation>Zurückholen</translation>
        </message>
        <message>
            <source>Port</source>
            <translation>Anschluss</translation>
        </message>
        <message>
            <source>Model</source>
            <translation>Modell</translation>
        </message>
        <message>
            <source>Interfaces</source>
            <translation>Schnittstellen</translation>
        </message>
        <message>
            <source>Rule</source>
            <translation>Regel</translation>
        </message>
        <message>
            <source>Fingerprint</source>
            <translation>Fingerabdruck</translation>
        </message>
        <message>
            <source>Your name for this port, such as left port</source>
            <translation>Ihr Name für diesen Anschluss, etwa linker Anschluss</translation>
        </message>
        <message>
            <source>Name port</source>
            <translation>Anschluss benennen</translation>
        </message>
        <message>
            <source>Forget it and decide anew</source>
            <translation>Vergessen und neu entscheiden</translation>
        </message>
        <message>
            <source>Less</source>
            <translation>Weniger</translation>
        </message>
        <message>
            <source>Give {name} to the corporate computer</source>
            <translation>{name} dem Firmenrechner geben</translation>
        </message>
        <message>
            <source>Give {name} to the personal computer</source>
            <translation>{name} dem Privatrechner geben</translation>
        </message>
        <message>
            <source>Give {name} to nobody</source>
            <translation>{name} niemandem geben</translation>
        </message>
        <message>
            <source>Take {name} back</source>
            <translation>{name} zurückholen</translation>
        </message>
        <message>
            <source>Give {name} to be read only</source>
            <translation>{name} nur zum Lesen geben</translation>
        </message>
        <message>
            <source>Hide the details of {name}</source>
            <translation>Details zu {name} ausblenden</translation>
        </message>
        <message>
            <source>Details of {name}</source>
            <translation>Details zu {name}</translation>
        </message>
        <message>
            <source>Forget {name} and decide anew</source>
            <translation>{name} vergessen und neu entscheiden</translation>
        </message>
        <message>
            <source>Name the port of {name}</source>
            <translation>Anschluss von {name} benennen</translation>
        </message>
        <message>
            <source>Your name for the port of {name}</source>
            <translation>Ihr Name für den Anschluss von {name}</translation>
        </message>
    </context>
    <context>
        <name>DevicesPage</name>
        <message>
            <source>Devices</source>
            <translation>Geräte</translation>
        </message>
        <message>
            <source>No device is here. Drag one onto this field, or use its buttons.</source>
            <translation>Hier ist kein Gerät. Ziehen Sie eines auf dieses Feld oder benutzen Sie seine Schaltflächen.</translation>
        </message>
        <message>
            <source>With nobody</source>
            <translation>Bei niemandem</translation>
        </message>
        <message>
            <source>No device waits and none is kept out.</source>
            <translation>Kein Gerät wartet, und keines wird ferngehalten.</translation>
        </message>
        <message>
            <source>This laptop itself</source>
            <translation>Dieser Laptop selbst</translation>
        </message>
        <message>
            <source>This laptop uses no device of its own.</source>
            <translation>Dieser Laptop benutzt kein eigenes Gerät.</translation>
        </message>
        <message>
            <source>Devices by place</source>
            <translation>Geräte nach Ort</translation>
        </message>
        <message>
            <source>What is plugged in is not known just now.</source>
            <translation>Was angesteckt ist, ist gerade nicht bekannt.</translation>
        </message>
        <message>
            <source>Hide what is inside it ({n})</source>
            <translation>Eingebautes ausblenden ({n})</translation>
        </message>
        <message>
            <source>Show what is inside it ({n})</source>
            <translation>Eingebautes anzeigen ({n})</translation>
        </message>
        <message>
            <source>Nothing is plugged in.</source>
            <translation>Nichts ist angesteckt.</translation>
        </message>
        <message>
            <source>One device is plugged in.</source>
            <translation>Ein Gerät ist angesteckt.</translation>
        </message>
        <message>
            <source>{n} devices are plugged in.</source>
            <translation>{n} Geräte sind angesteckt.</translation>
        </message>
        <message>
            <source>One waits for you.</source>
            <translation>Eines wartet auf Sie.</translation>
        </message>
        <message>
            <source>{n} wait for you.</source>
            <translation>{n} warten auf Sie.</translation>
        </message>
    </context>
    <context>
        <name>EnrolCard</name>
        <message>
            <source>Connect this laptop to your company</source>
            <translation>Diesen Laptop mit Ihrer Firma verbinden</translation>
        </message>
        <message>
            <source>Address, such as https://fleet.example</source>
            <translation>Adresse, etwa https://fleet.example</translation>
        </message>
        <message>
            <source>One-time token</source>
            <translation>Einmal-Token</translation>
        </message>
        <message>
            <source>Connect</source>
            <translation>Verbinden</translation>
        </message>
        <message>
            <source>Use a file…</source>
            <translation>Datei benutzen…</translation>
        </message>
        <message>
            <source>Get a code</source>
            <translation>Code anfordern</translation>
        </message>
        <message>
            <source>They are the same</source>
            <translation>Sie sind gleich</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Use this address</source>
            <translation>Diese Adresse verwenden</translation>
        </message>
        <message>
            <source>Ignore the link</source>
            <translation>Link ignorieren</translation>
        </message>
        <message>
            <source>An administrator opens</source>
            <translation>Wer verwaltet, öffnet</translation>
        </message>
        <message>
            <source>and types</source>
            <translation>und tippt</translation>
        </message>
        <message>
            <source>Fingerprint of the server</source>
            <translation>Fingerabdruck des Servers</translation>
        </message>
        <message>
            <source>Fingerprint of this laptop</source>
            <translation>Fingerabdruck dieses Laptops</translation>
        </message>
        <message>
            <source>Not connected</source>
            <translation>Nicht verbunden</translation>
        </message>
        <message>
            <source>Connecting</source>
            <translation>Verbindet</translation>
        </message>
        <message>
            <source>To be compared</source>
            <translation>Zu vergleichen</translation>
        </message>
        <message>
            <source>Waiting to be let in</source>
            <translation>Wartet auf Zulassung</translation>
        </message>
        <message>
            <source>A link was opened</source>
            <translation>Ein Link wurde geöffnet</translation>
        </message>
        <message>
            <source>A link asks to connect this laptop to the company at this address. Nothing was sent there. Go on only if your company gave you the link: whoever the address belongs to sets the rules of the corporate computer.</source>
            <translation>Ein Link möchte diesen Laptop mit der Firma an dieser Adresse verbinden. Dorthin wurde nichts gesendet. Fahren Sie nur fort, wenn Ihnen Ihre Firma den Link gegeben hat: Wem die Adresse gehört, der bestimmt die Regeln des Firmenrechners.</translation>
        </message>
        <message>
            <source>Your company gave you an address, and a token or a file. Without a token, get a code.</source>
            <translation>Von Ihrer Firma haben Sie eine Adresse und ein Token oder eine Datei. Ohne Token fordern Sie einen Code an.</translation>
        </message>
        <message>
            <source>As soon as the administrator agrees, this laptop is connected.</source>
            <translation>Sobald zugestimmt wird, ist dieser Laptop verbunden.</translation>
        </message>
        <message>
            <source>Does the approval page show the same code and the same two fingerprints?</source>
            <translation>Zeigt die Seite für die Zulassung denselben Code und dieselben zwei Fingerabdrücke?</translation>
        </message>
        <message>
            <source>The file your company gave you</source>
            <translation>Die Datei von Ihrer Firma</translation>
        </message>
    </context>
    <context>
        <name>ErasedPage</name>
        <message>
            <source>The corporate computer was erased</source>
            <translation>Der Firmenrechner wurde gelöscht</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>Zurück zur Übersicht</translation>
        </message>
        <message>
            <source>What is gone</source>
            <translation>Was weg ist</translation>
        </message>
        <message>
            <source>What is as it was</source>
            <translation>Was ist, wie es war</translation>
        </message>
        <message>
            <source>I have read it</source>
            <translation>Gelesen</translation>
        </message>
        <message>
            <source>Show the receipts</source>
            <translation>Quittungen zeigen</translation>
        </message>
        <message>
            <source>This laptop has left the company</source>
            <translation>Dieser Laptop hat die Firma verlassen</translation>
        </message>
        <message>
            <source>The corporate computer with everything in it, its keys, its network, and what tied this laptop to the company. Nothing brings it back, and the company controls and sees nothing here any more.</source>
            <translation>Der Firmenrechner mit allem darin, seine Schlüssel, sein Netz und was diesen Laptop an die Firma band. Nichts bringt ihn zurück, und die Firma bestimmt und sieht hier nichts mehr.</translation>
        </message>
        <message>
            <source>The corporate computer with everything in it, and its keys. Nothing brings it back. Your company can offer it anew; it begins empty then.</source>
            <translation>Der Firmenrechner mit allem darin und seine Schlüssel. Nichts bringt ihn zurück. Ihre Firma kann ihn neu anbieten; dann fängt er leer an.</translation>
        </message>
        <message>
            <source>Your personal computer. It is now: {state}.</source>
            <translation>Ihr Privatrechner. Zustand jetzt: {state}.</translation>
        </message>
        <message>
            <source>Looking for the receipt.</source>
            <translation>Die Quittung wird gesucht.</translation>
        </message>
        <message>
            <source>There is no receipt of it in the log.</source>
            <translation>Im Protokoll steht keine Quittung darüber.</translation>
        </message>
        <message>
            <source>The receipt says so, too: its keys and files were the same before and after.</source>
            <translation>Das sagt auch die Quittung: Seine Schlüssel und Dateien waren vorher und nachher gleich.</translation>
        </message>
        <message>
            <source>The receipt does not speak of it.</source>
            <translation>Die Quittung sagt darüber nichts.</translation>
        </message>
        <message>
            <source>The receipt says that its keys and files were NOT the same before and after.</source>
            <translation>Die Quittung sagt, dass seine Schlüssel und Dateien vorher und nachher NICHT gleich waren.</translation>
        </message>
    </context>
    <context>
        <name>ExchangePanel</name>
        <message>
            <source>Copy from one computer to the other</source>
            <translation>Von einem Rechner in den anderen kopieren</translation>
        </message>
        <message>
            <source>What would be copied</source>
            <translation>Was kopiert würde</translation>
        </message>
        <message>
            <source>Send it</source>
            <translation>Senden</translation>
        </message>
        <message>
            <source>Do not send</source>
            <translation>Nicht senden</translation>
        </message>
        <message>
            <source>From the corporate to the personal computer</source>
            <translation>Vom Firmenrechner in den Privatrechner</translation>
        </message>
        <message>
            <source>From the personal to the corporate computer</source>
            <translation>Vom Privatrechner in den Firmenrechner</translation>
        </message>
        <message>
            <source>Close</source>
            <translation>Schließen</translation>
        </message>
        <message>
            <source>Copy a text, an address or a picture in one of them first, or choose Send To in a file's menu there. You see it before it is sent.</source>
            <translation>Kopieren Sie zuerst in einem von beiden einen Text, eine Adresse oder ein Bild, oder wählen Sie dort im Menü einer Datei „Send To“. Sie sehen es, bevor es gesendet wird.</translation>
        </message>
        <message>
            <source>Asking that computer what was copied there.</source>
            <translation>Der Rechner wird gefragt, was dort kopiert wurde.</translation>
        </message>
        <message>
            <source>A text, {bytes} bytes, {lines} lines.</source>
            <translation>Ein Text, {bytes} Bytes, {lines} Zeilen.</translation>
        </message>
        <message>
            <source>{n} characters in it cannot be seen or turn others around; here they are as numbers.</source>
            <translation>{n} Zeichen darin sind nicht zu sehen oder drehen andere um; hier stehen sie als Nummern.</translation>
        </message>
        <message>
            <source>A web address, {bytes} bytes. It leads to:</source>
            <translation>Eine Webadresse, {bytes} Bytes. Sie führt zu:</translation>
        </message>
        <message>
            <source>Nothing is opened by this. It is put where the other computer pastes from, for a minute: paste it into a browser there.</source>
            <translation>Damit wird nichts geöffnet. Sie liegt eine Minute lang in der Zwischenablage des anderen Rechners: Fügen Sie sie dort in einen Browser ein.</translation>
        </message>
        <message>
            <source>What stands before the @ is a name to sign in with, not where it leads.</source>
            <translation>Was vor dem @ steht, ist ein Name zum Anmelden und nicht das Ziel.</translation>
        </message>
        <message>
            <source>Browsers may show it as “{name}”, with these letters: {letters}.</source>
            <translation>Browser zeigen sie vielleicht als „{name}“, mit diesen Buchstaben: {letters}.</translation>
        </message>
        <message>
            <source>It mixes scripts in one word, as addresses do that imitate others.</source>
            <translation>Sie mischt Schriften in einem Wort, wie Adressen, die andere nachahmen.</translation>
        </message>
        <message>
            <source>It leads to port {n} there.</source>
            <translation>Sie führt dort zu Port {n}.</translation>
        </message>
        <message>
            <source>It is not encrypted: others on the way can read and change it.</source>
            <translation>Sie ist nicht verschlüsselt: Andere auf dem Weg können mitlesen und ändern.</translation>
        </message>
        <message>
            <source>A picture, {width} by {height} pixels, {size}.</source>
            <translation>Ein Bild, {width} mal {height} Pixel, {size}.</translation>
        </message>
        <message>
            <source>A file, {size}. By its content it is: {type}. It is called:</source>
            <translation>Eine Datei, {size}. Ihrem Inhalt nach ist sie: {type}. Sie heißt:</translation>
        </message>
        <message>
            <source>It is put into Downloads there, and nothing opens it.</source>
            <translation>Sie wird dort in „Downloads“ abgelegt, und nichts öffnet sie.</translation>
        </message>
        <message>
            <source>It is put into Downloads there, and nothing opens it. Only its beginning is shown here.</source>
            <translation>Sie wird dort in „Downloads“ abgelegt, und nichts öffnet sie. Hier ist nur ihr Anfang zu sehen.</translation>
        </message>
        <message>
            <source>It is put into Downloads there, and nothing opens it. What is in it cannot be shown here.</source>
            <translation>Sie wird dort in „Downloads“ abgelegt, und nichts öffnet sie. Was darin ist, kann hier nicht gezeigt werden.</translation>
        </message>
        <message>
            <source>There it is called “{name}”; it crosses under the name above.</source>
            <translation>Dort heißt sie „{name}“; gesendet wird sie unter dem Namen oben.</translation>
        </message>
        <message>
            <source>It is a program.</source>
            <translation>Sie ist ein Programm.</translation>
        </message>
        <message>
            <source>Its name ends as if it were something else than it is.</source>
            <translation>Ihr Name endet so, als wäre sie etwas anderes, als sie ist.</translation>
        </message>
        <message>
            <source>Taking the file from that computer: {done} of {size}.</source>
            <translation>Die Datei wird von dort geholt: {done} von {size}.</translation>
        </message>
        <message>
            <source>Putting the file into the other computer: {done} of {size}.</source>
            <translation>Die Datei wird auf dem anderen Rechner abgelegt: {done} von {size}.</translation>
        </message>
        <message>
            <source>Stop</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>The other computer says that the file is in its Downloads.</source>
            <translation>Der andere Rechner meldet, dass die Datei in seinen „Downloads“ liegt.</translation>
        </message>
    </context>
    <context>
        <name>GradeCard</name>
        <message>
            <source>Protection of this laptop</source>
            <translation>Schutz dieses Laptops</translation>
        </message>
        <message>
            <source>In place</source>
            <translation>Erfüllt</translation>
        </message>
        <message>
            <source>Grade {letter}</source>
            <translation>Stufe {letter}</translation>
        </message>
        <message>
            <source>{passed} of {all} checks pass. A is best, E is least.</source>
            <translation>{passed} von {all} Prüfungen bestanden. A ist die beste Stufe, E die schwächste.</translation>
        </message>
        <message>
            <source>Improve</source>
            <translation>Offen</translation>
        </message>
    </context>
    <context>
        <name>GuestScreen</name>
        <message>
            <source>Screen: {name}</source>
            <translation>Bildschirm: {name}</translation>
        </message>
    </context>
    <context>
        <name>HomePage</name>
        <message>
            <source>Home</source>
            <translation>Übersicht</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>Einstellungen</translation>
        </message>
        <message>
            <source>Your two computers</source>
            <translation>Ihre zwei Rechner</translation>
        </message>
        <message>
            <source>Both computers and what concerns them</source>
            <translation>Beide Rechner und was sie betrifft</translation>
        </message>
        <message>
            <source>Devices: {n} waiting</source>
            <translation>Geräte: {n} warten</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>Geräte</translation>
        </message>
        <message>
            <source>Looked after by {tenant} as {device} · {contact}</source>
            <translation>Betreut von {tenant} als {device} · {contact}</translation>
        </message>
        <message>
            <source>in contact now</source>
            <translation>jetzt in Kontakt</translation>
        </message>
        <message>
            <source>not in contact now</source>
            <translation>jetzt nicht in Kontakt</translation>
        </message>
        <message>
            <source>This laptop belongs to no company yet.</source>
            <translation>Dieser Laptop gehört noch zu keiner Firma.</translation>
        </message>
    </context>
    <context>
        <name>LockCover</name>
        <message>
            <source>Locked</source>
            <translation>Gesperrt</translation>
        </message>
        <message>
            <source>Go on</source>
            <translation>Weiter</translation>
        </message>
    </context>
    <context>
        <name>LogPage</name>
        <message>
            <source>Log</source>
            <translation>Protokoll</translation>
        </message>
        <message>
            <source>When</source>
            <translation>Wann</translation>
        </message>
        <message>
            <source>What</source>
            <translation>Was</translation>
        </message>
        <message>
            <source>Details</source>
            <translation>Details</translation>
        </message>
        <message>
            <source>Only what was reported to the company</source>
            <translation>Nur was der Firma gemeldet wurde</translation>
        </message>
        <message>
            <source>The exact bytes</source>
            <translation>Der genaue Wortlaut</translation>
        </message>
        <message>
            <source>Choose a line to read exactly what was received or reported.</source>
            <translation>Wählen Sie eine Zeile, um genau zu lesen, was empfangen oder gemeldet wurde.</translation>
        </message>
        <message>
            <source>Receipts</source>
            <translation>Quittungen</translation>
        </message>
        <message>
            <source>Received</source>
            <translation>Empfangen</translation>
        </message>
        <message>
            <source>Reported</source>
            <translation>Gemeldet</translation>
        </message>
        <message>
            <source>Decided</source>
            <translation>Entschieden</translation>
        </message>
        <message>
            <source>Done</source>
            <translation>Getan</translation>
        </message>
        <message>
            <source>Refused</source>
            <translation>Abgelehnt</translation>
        </message>
        <message>
            <source>Nothing was sent or received with this line.</source>
            <translation>Zu dieser Zeile wurde nichts gesendet oder empfangen.</translation>
        </message>
    </context>
    <context>
        <name>LookPicker</name>
        <message>
            <source>Colour of the {name}</source>
            <translation>Farbe: {name}</translation>
        </message>
        <message>
            <source>Pattern of the {name}</source>
            <translation>Muster: {name}</translation>
        </message>
        <message>
            <source>Blue</source>
            <translation>Blau</translation>
        </message>
        <message>
            <source>Orange</source>
            <translation>Orange</translation>
        </message>
        <message>
            <source>Green</source>
            <translation>Grün</translation>
        </message>
        <message>
            <source>Violet</source>
            <translation>Violett</translation>
        </message>
        <message>
            <source>Red</source>
            <translation>Rot</translation>
        </message>
        <message>
            <source>Teal</source>
            <translation>Türkis</translation>
        </message>
        <message>
            <source>Pink</source>
            <translation>Pink</translation>
        </message>
        <message>
            <source>Brown</source>
            <translation>Braun</translation>
        </message>
        <message>
            <source>Stripes</source>
            <translation>Streifen</translation>
        </message>
        <message>
            <source>Dots</source>
            <translation>Punkte</translation>
        </message>
        <message>
            <source>Checks</source>
            <translation>Karos</translation>
        </message>
        <message>
            <source>Bars</source>
            <translation>Balken</translation>
        </message>
    </context>
    <context>
        <name>MainWindow</name>
        <message>
            <source>Locking this laptop.</source>
            <translation>Dieser Laptop wird gesperrt.</translation>
        </message>
        <message>
            <source>Unlock this laptop as you always do.</source>
            <translation>Entsperren Sie diesen Laptop wie gewohnt.</translation>
        </message>
        <message>
            <source>Both computers are covered. This session has no screen lock that asks for a password.</source>
            <translation>Beide Rechner sind verdeckt. Diese Sitzung hat keine Bildschirmsperre, die nach einem Passwort fragt.</translation>
        </message>
        <message>
            <source>Home: {home} · Switch: {switch}</source>
            <translation>Übersicht: {home} · Wechseln: {switch}</translation>
        </message>
        <message>
            <source>Keys: hold {keys}</source>
            <translation>Tasten: {keys} halten</translation>
        </message>
        <message>
            <source>Sent: paste it in the {name} within a minute</source>
            <translation>Gesendet: innerhalb einer Minute einfügen ({name})</translation>
        </message>
        <message>
            <source>has the keyboard</source>
            <translation>hat die Tastatur</translation>
        </message>
        <message>
            <source>Devices ({n})</source>
            <translation>Geräte ({n})</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>Geräte</translation>
        </message>
        <message>
            <source>Devices, {n} waiting for you</source>
            <translation>Geräte, {n} warten auf Sie</translation>
        </message>
    </context>
    <context>
        <name>NewsCard</name>
        <message>
            <source>To be read</source>
            <translation>Zu lesen</translation>
        </message>
        <message>
            <source>This laptop has left the company.</source>
            <translation>Dieser Laptop hat die Firma verlassen.</translation>
        </message>
        <message>
            <source>What became of it</source>
            <translation>Was daraus wurde</translation>
        </message>
        <message>
            <source>The corporate computer was erased.</source>
            <translation>Der Firmenrechner wurde gelöscht.</translation>
        </message>
        <message>
            <source>What was erased</source>
            <translation>Was gelöscht wurde</translation>
        </message>
        <message>
            <source>Your company changed its rules.</source>
            <translation>Ihre Firma hat ihre Regeln geändert.</translation>
        </message>
        <message>
            <source>What is different</source>
            <translation>Was anders ist</translation>
        </message>
    </context>
    <context>
        <name>Notifier</name>
        <message>
            <source>Show</source>
            <translation>Anzeigen</translation>
        </message>
    </context>
    <context>
        <name>PartitionCard</name>
        <message>
            <source>Download of this computer's system</source>
            <translation>Laden des Systems für diesen Rechner</translation>
        </message>
        <message>
            <source>Unlock and start</source>
            <translation>Entsperren und starten</translation>
        </message>
        <message>
            <source>Start</source>
            <translation>Starten</translation>
        </message>
        <message>
            <source>Open screen</source>
            <translation>Bildschirm öffnen</translation>
        </message>
        <message>
            <source>Continue</source>
            <translation>Fortsetzen</translation>
        </message>
        <message>
            <source>Pause</source>
            <translation>Anhalten</translation>
        </message>
        <message>
            <source>Shut down</source>
            <translation>Herunterfahren</translation>
        </message>
        <message>
            <source>Forgotten?</source>
            <translation>Vergessen?</translation>
        </message>
        <message>
            <source>The passphrase of this computer is forgotten</source>
            <translation>Die Passphrase dieses Rechners ist vergessen</translation>
        </message>
        <message>
            <source>Its system is being downloaded: {done} of {all}.</source>
            <translation>Sein System wird geladen: {done} von {all}.</translation>
        </message>
        <message>
            <source>Nothing is offered for it yet. Connect this laptop to your company first.</source>
            <translation>Dafür wird noch nichts angeboten. Verbinden Sie diesen Laptop zuerst mit Ihrer Firma.</translation>
        </message>
        <message>
            <source>{memory} memory · {cpus} · {disk} GB disk</source>
            <translation>{memory} Arbeitsspeicher · {cpus} · {disk} GB Speicherplatz</translation>
        </message>
        <message>
            <source>started {ago}</source>
            <translation>gestartet {ago}</translation>
        </message>
        <message>
            <source>Set up</source>
            <translation>Einrichten</translation>
        </message>
        <message>
            <source>The two passphrases are not the same. Type them again.</source>
            <translation>Die beiden Passphrasen sind nicht gleich. Bitte noch einmal eingeben.</translation>
        </message>
    </context>
    <context>
        <name>PolicyCard</name>
        <message>
            <source>What your employer controls and sees</source>
            <translation>Was Ihr Arbeitgeber bestimmt und sieht</translation>
        </message>
        <message>
            <source>Your personal computer: nothing. It cannot be named in these rules, seen or changed.</source>
            <translation>Ihr Privatrechner: nichts. Er kann in diesen Regeln nicht vorkommen, nicht gesehen und nicht verändert werden.</translation>
        </message>
        <message>
            <source>The exact rules</source>
            <translation>Die genauen Regeln</translation>
        </message>
        <message>
            <source>Show the exact rules</source>
            <translation>Genaue Regeln anzeigen</translation>
        </message>
        <message>
            <source>Show exactly what was reported</source>
            <translation>Genau anzeigen, was gemeldet wurde</translation>
        </message>
        <message>
            <source>Hide the exact rules</source>
            <translation>Genaue Regeln ausblenden</translation>
        </message>
        <message>
            <source>{name}, number {n}</source>
            <translation>{name}, Nummer {n}</translation>
        </message>
        <message>
            <source>No rules yet</source>
            <translation>Noch keine Regeln</translation>
        </message>
        <message>
            <source>Newest rules refused: {why}</source>
            <translation>Neueste Regeln abgelehnt: {why}</translation>
        </message>
        <message>
            <source>Now</source>
            <translation>Jetzt</translation>
        </message>
        <message>
            <source>This laptop has no company rules.</source>
            <translation>Dieser Laptop hat keine Regeln einer Firma.</translation>
        </message>
        <message>
            <source>Unclear</source>
            <translation>Unklar</translation>
        </message>
    </context>
    <context>
        <name>PolicyPage</name>
        <message>
            <source>Your company changed its rules</source>
            <translation>Ihre Firma hat ihre Regeln geändert</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>Zurück zur Übersicht</translation>
        </message>
        <message>
            <source>What is different for you</source>
            <translation>Was für Sie anders ist</translation>
        </message>
        <message>
            <source>Every change, as the service says it</source>
            <translation>Jede Änderung, wie der Dienst sie nennt</translation>
        </message>
        <message>
            <source>What the rules mean for you is the same as before.</source>
            <translation>Was die Regeln für Sie bedeuten, ist gleich geblieben.</translation>
        </message>
        <message>
            <source>Your personal computer: nothing. It cannot be named in these rules, seen or changed.</source>
            <translation>Ihr Privatrechner: nichts. Er kann in diesen Regeln weder genannt noch gesehen noch geändert werden.</translation>
        </message>
        <message>
            <source>I have read it</source>
            <translation>Gelesen</translation>
        </message>
        <message>
            <source>Now: {sentence}</source>
            <translation>Jetzt: {sentence}</translation>
        </message>
        <message>
            <source>Before: {sentence}</source>
            <translation>Vorher: {sentence}</translation>
        </message>
    </context>
    <context>
        <name>Rail</name>
        <message>
            <source>Views</source>
            <translation>Ansichten</translation>
        </message>
        <message>
            <source>Copy from one computer to the other…</source>
            <translation>Von einem Rechner in den anderen kopieren …</translation>
        </message>
        <message>
            <source>The other one small in the corner</source>
            <translation>Den anderen klein in der Ecke</translation>
        </message>
        <message>
            <source>Full screen</source>
            <translation>Vollbild</translation>
        </message>
        <message>
            <source>Lock</source>
            <translation>Sperren</translation>
        </message>
    </context>
    <context>
        <name>ReceiptsPage</name>
        <message>
            <source>Receipts</source>
            <translation>Quittungen</translation>
        </message>
        <message>
            <source>Back</source>
            <translation>Zurück</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>Noch einmal versuchen</translation>
        </message>
        <message>
            <source>There are none yet. Whatever is erased or asked of this laptop leaves one.</source>
            <translation>Es gibt noch keine. Was gelöscht oder von diesem Laptop verlangt wird, hinterlässt eine.</translation>
        </message>
        <message>
            <source>The exact bytes</source>
            <translation>Die genauen Bytes</translation>
        </message>
        <message>
            <source>Save the exact bytes…</source>
            <translation>Die genauen Bytes sichern…</translation>
        </message>
        <message>
            <source>You erased the {name}</source>
            <translation>Von Ihnen gelöscht: {name}</translation>
        </message>
        <message>
            <source>Your employer locked the corporate computer</source>
            <translation>Ihr Arbeitgeber hat den Firmenrechner gesperrt</translation>
        </message>
        <message>
            <source>Your employer unlocked the corporate computer</source>
            <translation>Ihr Arbeitgeber hat den Firmenrechner entsperrt</translation>
        </message>
        <message>
            <source>Your employer erased the corporate computer</source>
            <translation>Ihr Arbeitgeber hat den Firmenrechner gelöscht</translation>
        </message>
        <message>
            <source>Your employer let this laptop go</source>
            <translation>Ihr Arbeitgeber hat diesen Laptop freigegeben</translation>
        </message>
        <message>
            <source>The key of the company connection was changed</source>
            <translation>Der Schlüssel der Verbindung zur Firma wurde gewechselt</translation>
        </message>
        <message>
            <source>received</source>
            <translation>erhalten</translation>
        </message>
        <message>
            <source>begun</source>
            <translation>begonnen</translation>
        </message>
        <message>
            <source>done</source>
            <translation>erledigt</translation>
        </message>
        <message>
            <source>failed</source>
            <translation>fehlgeschlagen</translation>
        </message>
        <message>
            <source>Signed by this laptop</source>
            <translation>Von diesem Laptop signiert</translation>
        </message>
        <message>
            <source>Not signed</source>
            <translation>Nicht signiert</translation>
        </message>
        <message>
            <source>keys</source>
            <translation>Schlüssel</translation>
        </message>
        <message>
            <source>headers of the disk</source>
            <translation>Köpfe des Datenträgers</translation>
        </message>
        <message>
            <source>their backups</source>
            <translation>deren Sicherungen</translation>
        </message>
        <message>
            <source>earlier states</source>
            <translation>frühere Zustände</translation>
        </message>
        <message>
            <source>contents</source>
            <translation>Inhalt</translation>
        </message>
        <message>
            <source>settings of its firmware</source>
            <translation>Einstellungen seiner Firmware</translation>
        </message>
        <message>
            <source>what tied it to the company</source>
            <translation>was ihn an die Firma band</translation>
        </message>
        <message>
            <source>Gone for good: {what}.</source>
            <translation>Für immer weg: {what}.</translation>
        </message>
        <message>
            <source>Could still be read: {what}.</source>
            <translation>Noch lesbar: {what}.</translation>
        </message>
        <message>
            <source>{name}: untouched, the same before and after.</source>
            <translation>{name}: unberührt, vorher und nachher gleich.</translation>
        </message>
        <message>
            <source>{name}: NOT the same before and after.</source>
            <translation>{name}: vorher und nachher NICHT gleich.</translation>
        </message>
        <message>
            <source>Nothing was removed.</source>
            <translation>Nichts wurde entfernt.</translation>
        </message>
        <message>
            <source>Where the receipt is kept</source>
            <translation>Wo die Quittung aufbewahrt wird</translation>
        </message>
        <message>
            <source>Saved: {path}</source>
            <translation>Gesichert: {path}</translation>
        </message>
    </context>
    <context>
        <name>RecoveryPage</name>
        <message>
            <source>Recovery code</source>
            <translation>Notfallcode</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>Zurück zur Übersicht</translation>
        </message>
        <message>
            <source>Make a recovery code</source>
            <translation>Notfallcode erstellen</translation>
        </message>
        <message>
            <source>Passphrase of this computer</source>
            <translation>Passphrase dieses Rechners</translation>
        </message>
        <message>
            <source>Make the code</source>
            <translation>Code erstellen</translation>
        </message>
        <message>
            <source>The passphrase is forgotten…</source>
            <translation>Passphrase vergessen…</translation>
        </message>
        <message>
            <source>{n} words for paper. They open this computer's disk when its passphrase is forgotten. They are shown once and kept nowhere; without them and the passphrase nobody can open it.</source>
            <translation>{n} Wörter für Papier. Sie öffnen den Datenträger dieses Rechners, wenn die Passphrase vergessen ist. Sie werden einmal gezeigt und nirgends aufbewahrt; ohne sie und ohne Passphrase kann ihn niemand öffnen.</translation>
        </message>
        <message>
            <source>Open it with the recovery code</source>
            <translation>Mit dem Notfallcode öffnen</translation>
        </message>
        <message>
            <source>The {n} words of the recovery code</source>
            <translation>Die {n} Wörter des Notfallcodes</translation>
        </message>
        <message>
            <source>New passphrase</source>
            <translation>Neue Passphrase</translation>
        </message>
        <message>
            <source>The new passphrase again</source>
            <translation>Die neue Passphrase noch einmal</translation>
        </message>
        <message>
            <source>The two passphrases are not the same. Type them again.</source>
            <translation>Die beiden Passphrasen sind nicht gleich. Geben Sie sie noch einmal ein.</translation>
        </message>
        <message>
            <source>Set the new passphrase</source>
            <translation>Neue Passphrase setzen</translation>
        </message>
        <message>
            <source>Whatever opened it before is void then, and you get the next code. Four letters of each word are enough. Nothing that is on the disk changes.</source>
            <translation>Was ihn vorher geöffnet hat, gilt dann nicht mehr, und Sie bekommen den nächsten Code. Vier Buchstaben jedes Worts genügen. An den Daten ändert sich nichts.</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Please wait</source>
            <translation>Bitte warten</translation>
        </message>
        <message>
            <source>It takes some seconds, on purpose: so does every guess.</source>
            <translation>Es dauert mit Absicht einige Sekunden: Jedes Raten dauert ebenso lange.</translation>
        </message>
        <message>
            <source>Write these words down now</source>
            <translation>Schreiben Sie diese Wörter jetzt auf</translation>
        </message>
        <message>
            <source>Print…</source>
            <translation>Drucken…</translation>
        </message>
        <message>
            <source>They are on paper</source>
            <translation>Sie stehen auf Papier</translation>
        </message>
        <message>
            <source>They are not shown again once you leave this page, and an earlier code opens nothing any more. Printers may keep what they print.</source>
            <translation>Wenn Sie diese Seite verlassen, werden sie nicht mehr gezeigt, und ein früherer Code öffnet nichts mehr. Drucker können behalten, was sie drucken.</translation>
        </message>
        <message>
            <source>Three words, from the paper</source>
            <translation>Drei Wörter vom Papier</translation>
        </message>
        <message>
            <source>Compare</source>
            <translation>Vergleichen</translation>
        </message>
        <message>
            <source>Show the words again</source>
            <translation>Wörter noch einmal zeigen</translation>
        </message>
        <message>
            <source>The code is ready</source>
            <translation>Der Code ist fertig</translation>
        </message>
        <message>
            <source>Keep the paper away from this laptop. The next code, or using this one, makes it void.</source>
            <translation>Bewahren Sie das Papier nicht beim Laptop auf. Der nächste Code macht es ungültig, und die Benutzung auch.</translation>
        </message>
        <message>
            <source>Recovery code: {name}</source>
            <translation>Notfallcode: {name}</translation>
        </message>
        <message>
            <source>The last code was never compared with its paper. If you do not have it, make another one.</source>
            <translation>Der letzte Code wurde nie mit seinem Papier verglichen. Wenn Sie ihn nicht haben, erstellen Sie einen neuen.</translation>
        </message>
        <message>
            <source>There is a code. Making another one voids it.</source>
            <translation>Es gibt einen Code. Ein neuer macht ihn ungültig.</translation>
        </message>
        <message>
            <source>There is none yet.</source>
            <translation>Es gibt noch keinen.</translation>
        </message>
        <message>
            <source>Word {n}: {word}</source>
            <translation>Wort {n}: {word}</translation>
        </message>
        <message>
            <source>Word {n}</source>
            <translation>Wort {n}</translation>
        </message>
        <message>
            <source>Word {n} is another one.</source>
            <translation>Wort {n} ist ein anderes.</translation>
        </message>
        <message>
            <source>It opens this computer's disk if the passphrase is forgotten. Keep it on paper.</source>
            <translation>Er öffnet den Datenträger dieses Rechners, wenn die Passphrase vergessen ist. Auf Papier aufbewahren.</translation>
        </message>
    </context>
    <context>
        <name>ScreenDesk</name>
        <message>
            <source>Its screen appears in a moment.</source>
            <translation>Sein Bildschirm erscheint gleich.</translation>
        </message>
        <message>
            <source>You do that on the Home page: {chord}.</source>
            <translation>Das geht auf der Seite „Übersicht“: {chord}.</translation>
        </message>
    </context>
    <context>
        <name>SettingsPage</name>
        <message>
            <source>Settings</source>
            <translation>Einstellungen</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>Zurück zur Übersicht</translation>
        </message>
        <message>
            <source>Undo</source>
            <translation>Rückgängig</translation>
        </message>
        <message>
            <source>Reset to defaults</source>
            <translation>Zurücksetzen</translation>
        </message>
        <message>
            <source>Your phrase</source>
            <translation>Ihr Satz</translation>
        </message>
        <message>
            <source>It is in the strip on top, where no computer can paint. A window that asks for a passphrase without your phrase above it is not this laptop's.</source>
            <translation>Er steht oben im Streifen, wo keiner der Rechner malen kann. Ein Fenster, das ohne Ihren Satz darüber nach einer Passphrase fragt, gehört nicht zu diesem Laptop.</translation>
        </message>
        <message>
            <source>Colours and patterns</source>
            <translation>Farben und Muster</translation>
        </message>
        <message>
            <source>Language</source>
            <translation>Sprache</translation>
        </message>
        <message>
            <source>As the desktop</source>
            <translation>Wie der Desktop</translation>
        </message>
        <message>
            <source>Start the app again in it</source>
            <translation>App in dieser Sprache neu starten</translation>
        </message>
        <message>
            <source>Both computers go on running meanwhile.</source>
            <translation>Beide Rechner laufen dabei weiter.</translation>
        </message>
    </context>
    <context>
        <name>SnapshotsPage</name>
        <message>
            <source>Earlier states</source>
            <translation>Frühere Zustände</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>Zurück zur Übersicht</translation>
        </message>
        <message>
            <source>Earlier states of one computer</source>
            <translation>Frühere Zustände eines Rechners</translation>
        </message>
        <message>
            <source>Keep it as it is now</source>
            <translation>Den jetzigen Zustand behalten</translation>
        </message>
        <message>
            <source>A name for it, such as: before the update</source>
            <translation>Ein Name, zum Beispiel: vor dem Update</translation>
        </message>
        <message>
            <source>A name for the state that is kept; may be left empty</source>
            <translation>Ein Name für den Zustand; kann leer bleiben</translation>
        </message>
        <message>
            <source>Keep this state</source>
            <translation>Zustand behalten</translation>
        </message>
        <message>
            <source>Please wait</source>
            <translation>Bitte warten</translation>
        </message>
        <message>
            <source>How far it is</source>
            <translation>Wie weit es ist</translation>
        </message>
        <message>
            <source>Passphrase of this computer</source>
            <translation>Passphrase dieses Rechners</translation>
        </message>
        <message>
            <source>Go back</source>
            <translation>Zurückkehren</translation>
        </message>
        <message>
            <source>Shut it down</source>
            <translation>Herunterfahren</translation>
        </message>
        <message>
            <source>Leave it as it is</source>
            <translation>So lassen, wie es ist</translation>
        </message>
        <message>
            <source>Newest first</source>
            <translation>Neueste zuerst</translation>
        </message>
        <message>
            <source>Earlier states: {name}</source>
            <translation>Frühere Zustände: {name}</translation>
        </message>
        <message>
            <source>What is kept could not be read.</source>
            <translation>Was behalten wurde, war nicht zu lesen.</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>Noch einmal versuchen</translation>
        </message>
        <message>
            <source>It is kept.</source>
            <translation>Der Zustand ist behalten.</translation>
        </message>
        <message>
            <source>It is as it was then. “Undo” below brings back what was there before.</source>
            <translation>Alles ist wie damals. „Rückgängig“ unten holt zurück, was vorher da war.</translation>
        </message>
        <message>
            <source>It is removed.</source>
            <translation>Der Zustand ist entfernt.</translation>
        </message>
        <message>
            <source>{n} are kept, as many as there can be. Remove one first; “Undo” works as ever.</source>
            <translation>{n} Zustände sind behalten, mehr gehen nicht. Entfernen Sie erst einen; „Rückgängig“ geht wie immer.</translation>
        </message>
        <message>
            <source>It is running: it stands still until that is done, which may take minutes. What is on its disk is kept, not what is open and not saved.</source>
            <translation>Er läuft: Er steht still, bis das getan ist, und das kann Minuten dauern. Behalten wird, was auf der Platte ist, nicht was offen und ungespeichert ist.</translation>
        </message>
        <message>
            <source>What is on its disk is kept, and you can go back to it.</source>
            <translation>Behalten wird, was auf der Platte ist, und Sie können dahin zurückkehren.</translation>
        </message>
        <message>
            <source>Its disk is being copied. If it is running it stands still until that is done.</source>
            <translation>Die Platte wird kopiert. Wenn der Rechner läuft, steht er still, bis das getan ist.</translation>
        </message>
        <message>
            <source>It is going back. It cannot be started until that is done.</source>
            <translation>Der Rechner kehrt zurück. Er lässt sich erst danach starten.</translation>
        </message>
        <message>
            <source>It is being removed.</source>
            <translation>Der Zustand wird entfernt.</translation>
        </message>
        <message>
            <source>It is shutting down.</source>
            <translation>Der Rechner fährt herunter.</translation>
        </message>
        <message>
            <source>Go back to {when}?</source>
            <translation>Zurück zum Stand vom {when}?</translation>
        </message>
        <message>
            <source>Remove the state of {when}?</source>
            <translation>Den Stand vom {when} entfernen?</translation>
        </message>
        <message>
            <source>Everything written in this computer since is gone from it: files, programs, settings. It is kept as a state of its own, so this can be undone. Passphrases stay as they are now.</source>
            <translation>Alles, was seither in diesem Rechner geschrieben wurde, ist darin dann weg: Dateien, Programme, Einstellungen. Es bleibt als eigener Zustand erhalten, das lässt sich also rückgängig machen. Passphrasen bleiben, wie sie jetzt sind.</translation>
        </message>
        <message>
            <source>You cannot go back to it any more, and this cannot be undone.</source>
            <translation>Sie können nicht mehr dahin zurückkehren, und das lässt sich nicht rückgängig machen.</translation>
        </message>
        <message>
            <source>This computer has to be off. Save what is open in it first.</source>
            <translation>Dieser Rechner muss aus sein. Speichern Sie erst, was darin offen ist.</translation>
        </message>
        <message>
            <source>Remove it</source>
            <translation>Entfernen</translation>
        </message>
        <message>
            <source>Before the update to “{name}”</source>
            <translation>Vor der Aktualisierung auf „{name}“</translation>
        </message>
        <message>
            <source>Before you went back</source>
            <translation>Bevor Sie zurückkehrten</translation>
        </message>
        <message>
            <source>Before you went back to “{name}”</source>
            <translation>Bevor Sie zu „{name}“ zurückkehrten</translation>
        </message>
        <message>
            <source>A state without a name</source>
            <translation>Ein Zustand ohne Namen</translation>
        </message>
        <message>
            <source>Looking for earlier states.</source>
            <translation>Frühere Zustände werden gesucht.</translation>
        </message>
        <message>
            <source>Nothing is kept yet. Keep a state before an update or anything you are unsure of.</source>
            <translation>Noch ist nichts behalten. Behalten Sie einen Zustand vor einem Update oder allem, bei dem Sie unsicher sind.</translation>
        </message>
        <message>
            <source>Now: as it is</source>
            <translation>Jetzt: wie er ist</translation>
        </message>
        <message>
            <source>Undo</source>
            <translation>Rückgängig</translation>
        </message>
        <message>
            <source>Go back…</source>
            <translation>Zurück…</translation>
        </message>
        <message>
            <source>Remove…</source>
            <translation>Entfernen…</translation>
        </message>
        <message>
            <source>Go back to {when}: {what}</source>
            <translation>Zurück zum {when}: {what}</translation>
        </message>
        <message>
            <source>Remove {when}: {what}</source>
            <translation>Entfernen: {when}, {what}</translation>
        </message>
    </context>
    <context>
        <name>StorageCard</name>
        <message>
            <source>Storage and systems</source>
            <translation>Speicher und Systeme</translation>
        </message>
        <message>
            <source>Recovery code</source>
            <translation>Notfallcode</translation>
        </message>
        <message>
            <source>Recovery code: {name}</source>
            <translation>Notfallcode: {name}</translation>
        </message>
        <message>
            <source>Earlier states</source>
            <translation>Frühere Zustände</translation>
        </message>
        <message>
            <source>Earlier states: {name}</source>
            <translation>Frühere Zustände: {name}</translation>
        </message>
        <message>
            <source>Nothing yet</source>
            <translation>Noch nichts</translation>
        </message>
        <message>
            <source>Systems appear here once your company offers them.</source>
            <translation>Systeme erscheinen hier, sobald Ihre Firma sie anbietet.</translation>
        </message>
        <message>
            <source>Ready</source>
            <translation>Bereit</translation>
        </message>
        <message>
            <source>Downloading</source>
            <translation>Wird geladen</translation>
        </message>
        <message>
            <source>{name}: encrypted, up to {disk} GB, {lock}</source>
            <translation>{name}: verschlüsselt, bis {disk} GB, {lock}</translation>
        </message>
        <message>
            <source>open now</source>
            <translation>jetzt offen</translation>
        </message>
        <message>
            <source>locked</source>
            <translation>gesperrt</translation>
        </message>
        <message>
            <source>verified, {size}</source>
            <translation>geprüft, {size}</translation>
        </message>
        <message>
            <source>{done} of {all}</source>
            <translation>{done} von {all}</translation>
        </message>
        <message>
            <source>Download of {name}</source>
            <translation>Laden von {name}</translation>
        </message>
    </context>
    <context>
        <name>Strip</name>
        <message>
            <source>You are in: {name}. Your phrase: {phrase}</source>
            <translation>Sie sind in: {name}. Ihr Satz: {phrase}</translation>
        </message>
        <message>
            <source>“{phrase}”</source>
            <translation>„{phrase}“</translation>
        </message>
    </context>
    <context>
        <name>Tray</name>
        <message>
            <source>Home</source>
            <translation>Übersicht</translation>
        </message>
        <message>
            <source>Lock</source>
            <translation>Sperren</translation>
        </message>
        <message>
            <source>Twinhull: both computers cannot be reached just now</source>
            <translation>Twinhull: Beide Rechner sind gerade nicht erreichbar</translation>
        </message>
    </context>
    <context>
        <name>UnlockForm</name>
        <message>
            <source>PIN of this computer</source>
            <translation>PIN dieses Rechners</translation>
        </message>
        <message>
            <source>Passphrase of this computer</source>
            <translation>Passphrase dieses Rechners</translation>
        </message>
        <message>
            <source>The same passphrase again</source>
            <translation>Dieselbe Passphrase noch einmal</translation>
        </message>
        <message>
            <source>Nothing is lost: the passphrase and the recovery code open it as before.</source>
            <translation>Nichts ist verloren: Passphrase und Wiederherstellungscode öffnen ihn wie zuvor.</translation>
        </message>
        <message>
            <source>Was the change yours, an update for instance? Then open it by the passphrase and make the PIN anew with “twinhull disk add {name} tpm”. If it was not, somebody may have changed this laptop.</source>
            <translation>Kam die Änderung von Ihnen, etwa durch ein Update? Dann öffnen Sie ihn mit der Passphrase und legen die PIN mit „twinhull disk add {name} tpm“ neu an. Wenn nicht, hat vielleicht jemand diesen Laptop verändert.</translation>
        </message>
        <message>
            <source>Or leave the laptop on until the chip takes a PIN again.</source>
            <translation>Oder lassen Sie den Laptop an, bis der Chip wieder eine PIN annimmt.</translation>
        </message>
        <message>
            <source>Use the passphrase</source>
            <translation>Passphrase verwenden</translation>
        </message>
        <message>
            <source>Use the PIN</source>
            <translation>PIN verwenden</translation>
        </message>
        <message>
            <source>Wrong tries so far: {n}. The next one is taken in {s} s.</source>
            <translation>Falsche Versuche bisher: {n}. Der nächste ist in {s} s möglich.</translation>
        </message>
        <message>
            <source>Wrong tries so far: {n}. After {free} more each next one has to wait.</source>
            <translation>Falsche Versuche bisher: {n}. Nach {free} weiteren muss jeder nächste warten.</translation>
        </message>
        <message>
            <source>Wrong tries so far: {n}. After another one the wait is longer.</source>
            <translation>Falsche Versuche bisher: {n}. Nach einem weiteren dauert das Warten länger.</translation>
        </message>
    </context>
    <context>
        <name>UnreachablePage</name>
        <message>
            <source>Waiting for Twinhull</source>
            <translation>Warten auf Twinhull</translation>
        </message>
        <message>
            <source>Looking for the service that runs your two computers.</source>
            <translation>Der Dienst, der Ihre zwei Rechner betreibt, wird gesucht.</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>Noch einmal versuchen</translation>
        </message>
        <message>
            <source>Twinhull does not answer</source>
            <translation>Twinhull antwortet nicht</translation>
        </message>
    </context>
    <context>
        <name>VpnCard</name>
        <message>
            <source>Company connection</source>
            <translation>Verbindung zur Firma</translation>
        </message>
        <message>
            <source>Prove it now</source>
            <translation>Jetzt nachweisen</translation>
        </message>
        <message>
            <source>Sign-in page: {page}</source>
            <translation>Anmeldeseite: {page}</translation>
        </message>
        <message>
            <source>Gateway {gateway} · last contact {ago} · received {rx} · sent {tx}</source>
            <translation>Gateway {gateway} · letzter Kontakt {ago} · empfangen {rx} · gesendet {tx}</translation>
        </message>
        <message>
            <source>No way around it</source>
            <translation>Kein Weg daran vorbei</translation>
        </message>
        <message>
            <source>Not in place</source>
            <translation>Nicht eingerichtet</translation>
        </message>
        <message>
            <source>Proving…</source>
            <translation>Wird geprüft…</translation>
        </message>
        <message>
            <source>Held</source>
            <translation>Hält</translation>
        </message>
        <message>
            <source>FAILED</source>
            <translation>FEHLER</translation>
        </message>
    </context>
    <context>
        <name>WelcomeCard</name>
        <message>
            <source>Make this laptop yours</source>
            <translation>Machen Sie diesen Laptop zu Ihrem</translation>
        </message>
        <message>
            <source>Choose phrase and colours</source>
            <translation>Satz und Farben wählen</translation>
        </message>
        <message>
            <source>Keep them</source>
            <translation>So lassen</translation>
        </message>
        <message>
            <source>The strip on top says which computer you are in, by colour and pattern. Choose a phrase for it, so that nobody can imitate it.</source>
            <translation>Der Streifen oben sagt mit Farbe und Muster, in welchem Rechner Sie sind. Wählen Sie einen Satz dafür, damit niemand ihn nachahmen kann.</translation>
        </message>
        <message>
            <source>The strip on top says which computer you are in, by colour, pattern and your phrase “{phrase}”. Choose your own, so that nobody can imitate it.</source>
            <translation>Der Streifen oben sagt mit Farbe, Muster und Ihrem Satz „{phrase}“, in welchem Rechner Sie sind. Wählen Sie Eigenes, damit niemand ihn nachahmen kann.</translation>
        </message>
    </context>
    <context>
        <name>choices</name>
        <message>
            <source>Choose a phrase of {n} characters or more.</source>
            <translation>Wählen Sie einen Satz mit mindestens {n} Zeichen.</translation>
        </message>
        <message>
            <source>Choose a phrase of {n} characters or fewer.</source>
            <translation>Wählen Sie einen Satz mit höchstens {n} Zeichen.</translation>
        </message>
        <message>
            <source>Choose a phrase that can be seen: one of its characters cannot.</source>
            <translation>Wählen Sie einen sichtbaren Satz: Eines seiner Zeichen ist unsichtbar.</translation>
        </message>
        <message>
            <source>The other computer has that colour, and you are to tell them apart by it.</source>
            <translation>Der andere Rechner hat diese Farbe, und an ihr sollen Sie beide unterscheiden.</translation>
        </message>
        <message>
            <source>The other computer has that pattern, and you are to tell them apart by it.</source>
            <translation>Der andere Rechner hat dieses Muster, und an ihm sollen Sie beide unterscheiden.</translation>
        </message>
    </context>
    <context>
        <name>chords</name>
        <message>
            <source>Other computer</source>
            <translation>Anderer Rechner</translation>
        </message>
        <message>
            <source>Home</source>
            <translation>Übersicht</translation>
        </message>
        <message>
            <source>Lock</source>
            <translation>Sperren</translation>
        </message>
        <message>
            <source>Take the keyboard back</source>
            <translation>Tastatur zurückholen</translation>
        </message>
        <message>
            <source>Corporate computer</source>
            <translation>Firmenrechner</translation>
        </message>
        <message>
            <source>Personal computer</source>
            <translation>Privatrechner</translation>
        </message>
        <message>
            <source>Side by side</source>
            <translation>Nebeneinander</translation>
        </message>
        <message>
            <source>The other one small in the corner</source>
            <translation>Den anderen klein in der Ecke</translation>
        </message>
        <message>
            <source>Full screen</source>
            <translation>Vollbild</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>Geräte</translation>
        </message>
        <message>
            <source>Log</source>
            <translation>Protokoll</translation>
        </message>
        <message>
            <source>Answer for a device</source>
            <translation>Für ein Gerät antworten</translation>
        </message>
        <message>
            <source>Copy to the other computer</source>
            <translation>In den anderen Rechner kopieren</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>Einstellungen</translation>
        </message>
        <message>
            <source>The system takes that combination itself.</source>
            <translation>Diese Kombination nimmt das System selbst.</translation>
        </message>
        <message>
            <source>Press one key with two of Ctrl, Alt and Meta, or you could not type it in a computer.</source>
            <translation>Drücken Sie eine Taste mit zweien von Strg, Alt und Meta, sonst fehlte sie Ihnen in den Rechnern.</translation>
        </message>
        <message>
            <source>“{action}” has that combination.</source>
            <translation>„{action}“ hat diese Kombination.</translation>
        </message>
    </context>
    <context>
        <name>notices</name>
        <message>
            <source>A device waits for you</source>
            <translation>Ein Gerät wartet auf Sie</translation>
        </message>
        <message>
            <source>{n} devices wait for you</source>
            <translation>{n} Geräte warten auf Sie</translation>
        </message>
        <message>
            <source>Nothing can use it until you say where it goes.</source>
            <translation>Nichts kann es benutzen, bis Sie sagen, wohin es geht.</translation>
        </message>
        <message>
            <source>{computer} stopped</source>
            <translation>{computer}: ausgefallen</translation>
        </message>
        <message>
            <source>It stopped because of a problem. You can start it again.</source>
            <translation>Er ist wegen eines Problems ausgefallen. Sie können ihn wieder starten.</translation>
        </message>
        <message>
            <source>{computer} was erased</source>
            <translation>{computer}: gelöscht</translation>
        </message>
        <message>
            <source>Your personal computer is as it was; the receipt is in the log.</source>
            <translation>Ihr Privatrechner ist, wie er war; die Quittung steht im Protokoll.</translation>
        </message>
        <message>
            <source>This laptop has left the company</source>
            <translation>Dieser Laptop gehört nicht mehr zur Firma</translation>
        </message>
        <message>
            <source>Company not heard of</source>
            <translation>Nichts von der Firma gehört</translation>
        </message>
        <message>
            <source>This network wants you to sign in</source>
            <translation>Dieses Netz verlangt eine Anmeldung</translation>
        </message>
        <message>
            <source>You do that on your personal computer; until then the company cannot be reached.</source>
            <translation>Das geht auf Ihrem Privatrechner; bis dahin ist die Firma nicht erreichbar.</translation>
        </message>
        <message>
            <source>The corporate network failed its check</source>
            <translation>Das Firmennetz hat die Prüfung nicht bestanden</translation>
        </message>
        <message>
            <source>It is shut for safety, and stays so until a check passes.</source>
            <translation>Es ist zur Sicherheit geschlossen und bleibt es, bis eine Prüfung gelingt.</translation>
        </message>
        <message>
            <source>Your company changed its rules</source>
            <translation>Ihre Firma hat ihre Regeln geändert</translation>
        </message>
        <message>
            <source>Something said to be your company's was refused</source>
            <translation>Etwas angeblich von Ihrer Firma wurde abgelehnt</translation>
        </message>
        <message>
            <source>It was not signed as it has to be. The rules from before stay in force.</source>
            <translation>Es war nicht so signiert, wie es sein muss. Die bisherigen Regeln gelten weiter.</translation>
        </message>
        <message>
            <source>What they are is on the Home page.</source>
            <translation>Welche es sind, steht auf der Seite „Übersicht“.</translation>
        </message>
        <message>
            <source>What they mean for you is the same.</source>
            <translation>Für Sie bedeuten sie dasselbe wie vorher.</translation>
        </message>
    </context>
    <context>
        <name>rail</name>
        <message>
            <source>Home</source>
            <translation>Übersicht</translation>
        </message>
        <message>
            <source>Corporate</source>
            <translation>Firma</translation>
        </message>
        <message>
            <source>Personal</source>
            <translation>Privat</translation>
        </message>
        <message>
            <source>Side by side</source>
            <translation>Beide</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>Geräte</translation>
        </message>
        <message>
            <source>Log</source>
            <translation>Protokoll</translation>
        </message>
    </context>
    <context>
        <name>words</name>
        <message>
            <source>Devices cannot be followed just now, so nothing new is let in: {why}</source>
            <translation>Geräte lassen sich gerade nicht verfolgen, deshalb wird nichts Neues zugelassen: {why}</translation>
        </message>
        <message>
            <source>What the computers have stays. Run 'systemctl status twinhull-devd'; until it answers, wait.</source>
            <translation>Was die Rechner haben, bleibt. Führen Sie 'systemctl status twinhull-devd' aus; bis eine Antwort kommt, warten Sie.</translation>
        </message>
        <message>
            <source>keyboard</source>
            <translation>Tastatur</translation>
        </message>
        <message>
            <source>mouse</source>
            <translation>Maus</translation>
        </message>
        <message>
            <source>hub</source>
            <translation>Hub</translation>
        </message>
        <message>
            <source>storage</source>
            <translation>Speicher</translation>
        </message>
        <message>
            <source>webcam</source>
            <translation>Webcam</translation>
        </message>
        <message>
            <source>sound device</source>
            <translation>Tongerät</translation>
        </message>
        <message>
            <source>card reader</source>
            <translation>Kartenleser</translation>
        </message>
        <message>
            <source>security key</source>
            <translation>Sicherheitsschlüssel</translation>
        </message>
        <message>
            <source>phone</source>
            <translation>Telefon</translation>
        </message>
        <message>
            <source>serial adapter</source>
            <translation>serieller Adapter</translation>
        </message>
        <message>
            <source>network adapter</source>
            <translation>Netzwerkadapter</translation>
        </message>
        <message>
            <source>Bluetooth adapter</source>
            <translation>Bluetooth-Adapter</translation>
        </message>
        <message>
            <source>printer</source>
            <translation>Drucker</translation>
        </message>
        <message>
            <source>controller</source>
            <translation>Controller</translation>
        </message>
        <message>
            <source>combined device</source>
            <translation>Kombigerät</translation>
        </message>
        <message>
            <source>display adapter</source>
            <translation>Grafikadapter</translation>
        </message>
        <message>
            <source>part</source>
            <translation>Bauteil</translation>
        </message>
        <message>
            <source>device</source>
            <translation>Gerät</translation>
        </message>
        <message>
            <source>Unnamed</source>
            <translation>Ohne Namen</translation>
        </message>
        <message>
            <source>{name} {kind}</source>
            <translation>{name} ({kind})</translation>
        </message>
        <message>
            <source>In use, read only</source>
            <translation>In Benutzung, nur lesen</translation>
        </message>
        <message>
            <source>In use</source>
            <translation>In Benutzung</translation>
        </message>
        <message>
            <source>Asks you</source>
            <translation>Fragt Sie</translation>
        </message>
        <message>
            <source>Needs its code</source>
            <translation>Braucht seinen Code</translation>
        </message>
        <message>
            <source>Waiting</source>
            <translation>Wartet</translation>
        </message>
        <message>
            <source>Kept out</source>
            <translation>Ferngehalten</translation>
        </message>
        <message>
            <source>Switched off</source>
            <translation>Abgeschaltet</translation>
        </message>
        <message>
            <source>A new keyboard. It gets its code once those before it are done.</source>
            <translation>Eine neue Tastatur. Sie bekommt ihren Code, sobald die vor ihr erledigt sind.</translation>
        </message>
        <message>
            <source>A new keyboard is let in once its code, shown above, was typed on it.</source>
            <translation>Eine neue Tastatur wird zugelassen, sobald ihr Code, der oben steht, auf ihr getippt wurde.</translation>
        </message>
        <message>
            <source>It typed faster than a person can, so nothing it types is taken any more.</source>
            <translation>Es hat schneller getippt, als ein Mensch kann, deshalb wird nichts mehr davon angenommen.</translation>
        </message>
        <message>
            <source>{reason} ({rules}).</source>
            <translation>{reason} ({rules}).</translation>
        </message>
        <message>
            <source>You sent it there.</source>
            <translation>Sie haben es dorthin geschickt.</translation>
        </message>
        <message>
            <source>It can be answered once the screen is unlocked.</source>
            <translation>Die Antwort ist möglich, sobald der Bildschirm entsperrt ist.</translation>
        </message>
        <message>
            <source>your company's rule “{name}” offers the corporate computer</source>
            <translation>die Regel „{name}“ Ihrer Firma bietet den Firmenrechner an</translation>
        </message>
        <message>
            <source>your rule “{name}” offers the personal computer</source>
            <translation>Ihre Regel „{name}“ bietet den Privatrechner an</translation>
        </message>
        <message>
            <source>{offers}, and the choice is yours.</source>
            <translation>{offers}; Sie haben die Wahl.</translation>
        </message>
        <message>
            <source>; </source>
            <translation>; </translation>
        </message>
        <message>
            <source>built-in rule “{name}”</source>
            <translation>eingebaute Regel „{name}“</translation>
        </message>
        <message>
            <source>your company's rule “{name}”</source>
            <translation>Regel „{name}“ Ihrer Firma</translation>
        </message>
        <message>
            <source>your rule “{name}”</source>
            <translation>Ihre Regel „{name}“</translation>
        </message>
        <message>
            <source>, </source>
            <translation>, </translation>
        </message>
        <message>
            <source>To corporate</source>
            <translation>An Firma</translation>
        </message>
        <message>
            <source>To personal</source>
            <translation>An Privat</translation>
        </message>
        <message>
            <source>Camera allowed</source>
            <translation>Kamera erlaubt</translation>
        </message>
        <message>
            <source>Switch every camera off for both computers. It stays off until you switch it on again.</source>
            <translation>Jede Kamera für beide Rechner ausschalten. Sie bleibt aus, bis Sie sie wieder einschalten.</translation>
        </message>
        <message>
            <source>Camera off</source>
            <translation>Kamera aus</translation>
        </message>
        <message>
            <source>Let rules and answers decide about cameras again.</source>
            <translation>Wieder Regeln und Antworten über Kameras entscheiden lassen.</translation>
        </message>
        <message>
            <source>Microphone allowed</source>
            <translation>Mikrofon erlaubt</translation>
        </message>
        <message>
            <source>Switch every microphone off for both computers. It stays off until you switch it on again.</source>
            <translation>Jedes Mikrofon für beide Rechner ausschalten. Es bleibt aus, bis Sie es wieder einschalten.</translation>
        </message>
        <message>
            <source>Microphone off</source>
            <translation>Mikrofon aus</translation>
        </message>
        <message>
            <source>Let rules and answers decide about microphones again.</source>
            <translation>Wieder Regeln und Antworten über Mikrofone entscheiden lassen.</translation>
        </message>
        <message>
            <source>Corporate computer</source>
            <translation>Firmenrechner</translation>
        </message>
        <message>
            <source>Personal computer</source>
            <translation>Privatrechner</translation>
        </message>
        <message>
            <source>Twinhull · this laptop</source>
            <translation>Twinhull · dieser Laptop</translation>
        </message>
        <message>
            <source>Not set up</source>
            <translation>Nicht eingerichtet</translation>
        </message>
        <message>
            <source>Choose a passphrase and this computer is made ready for you.</source>
            <translation>Wählen Sie eine Passphrase, dann wird dieser Rechner eingerichtet.</translation>
        </message>
        <message>
            <source>Locked</source>
            <translation>Gesperrt</translation>
        </message>
        <message>
            <source>Type your PIN or your passphrase to open and start it.</source>
            <translation>Geben Sie Ihre PIN oder Ihre Passphrase ein, um ihn zu öffnen und zu starten.</translation>
        </message>
        <message>
            <source>Type your passphrase to open and start it.</source>
            <translation>Mit Ihrer Passphrase wird er entsperrt und gestartet.</translation>
        </message>
        <message>
            <source>Off</source>
            <translation>Aus</translation>
        </message>
        <message>
            <source>It is off. Start it whenever you need it.</source>
            <translation>Er ist aus. Starten Sie ihn, wenn Sie ihn brauchen.</translation>
        </message>
        <message>
            <source>Starting</source>
            <translation>Startet</translation>
        </message>
        <message>
            <source>It is starting. This can take a minute.</source>
            <translation>Er startet. Das kann eine Minute dauern.</translation>
        </message>
        <message>
            <source>Running</source>
            <translation>Läuft</translation>
        </message>
        <message>
            <source>It is running. Open its screen to use it.</source>
            <translation>Er läuft. Öffnen Sie seinen Bildschirm, um ihn zu benutzen.</translation>
        </message>
        <message>
            <source>Paused</source>
            <translation>Angehalten</translation>
        </message>
        <message>
            <source>It is paused and uses no processor time.</source>
            <translation>Er ist angehalten und braucht keine Rechenzeit.</translation>
        </message>
        <message>
            <source>Shutting down</source>
            <translation>Fährt herunter</translation>
        </message>
        <message>
            <source>It is shutting down and saving its work.</source>
            <translation>Er fährt herunter und sichert seine Arbeit.</translation>
        </message>
        <message>
            <source>Problem</source>
            <translation>Problem</translation>
        </message>
        <message>
            <source>It stopped because of a problem. You can start it again.</source>
            <translation>Er ist wegen eines Problems ausgefallen. Sie können ihn wieder starten.</translation>
        </message>
        <message>
            <source>Not connected to the company. Nothing can leave the corporate computer.</source>
            <translation>Nicht mit der Firma verbunden. Nichts kann den Firmenrechner verlassen.</translation>
        </message>
        <message>
            <source>Connecting</source>
            <translation>Verbindet</translation>
        </message>
        <message>
            <source>Connecting. Nothing leaves outside the tunnel meanwhile.</source>
            <translation>Verbindung wird hergestellt. Auch solange geht nichts am Tunnel vorbei hinaus.</translation>
        </message>
        <message>
            <source>Connected</source>
            <translation>Verbunden</translation>
        </message>
        <message>
            <source>Everything the corporate computer sends goes through the tunnel.</source>
            <translation>Alles, was der Firmenrechner sendet, geht durch den Tunnel.</translation>
        </message>
        <message>
            <source>Blocked</source>
            <translation>Geschlossen</translation>
        </message>
        <message>
            <source>The corporate computer's network is shut for safety.</source>
            <translation>Das Netz des Firmenrechners ist zur Sicherheit geschlossen.</translation>
        </message>
        <message>
            <source>The connection failed. Nothing leaves outside the tunnel.</source>
            <translation>Die Verbindung ist gescheitert. Nichts geht am Tunnel vorbei hinaus.</translation>
        </message>
        <message>
            <source>never</source>
            <translation>nie</translation>
        </message>
        <message>
            <source>one second ago</source>
            <translation>vor einer Sekunde</translation>
        </message>
        <message>
            <source>{n} seconds ago</source>
            <translation>vor {n} Sekunden</translation>
        </message>
        <message>
            <source>{n} minutes ago</source>
            <translation>vor {n} Minuten</translation>
        </message>
        <message>
            <source>{n} hours ago</source>
            <translation>vor {n} Stunden</translation>
        </message>
        <message>
            <source>{n} days ago</source>
            <translation>vor {n} Tagen</translation>
        </message>
        <message>
            <source>1 processor</source>
            <translation>1 Prozessor</translation>
        </message>
        <message>
            <source>{n} processors</source>
            <translation>{n} Prozessoren</translation>
        </message>
        <message>
            <source>1 hour</source>
            <translation>1 Stunde</translation>
        </message>
        <message>
            <source>{n} hours</source>
            <translation>{n} Stunden</translation>
        </message>
        <message>
            <source>Separation by the processor</source>
            <translation>Trennung durch den Prozessor</translation>
        </message>
        <message>
            <source>Confinement of each computer</source>
            <translation>Einschluss jedes Rechners</translation>
        </message>
        <message>
            <source>Memory that reaches the disk</source>
            <translation>Speicherinhalt auf der Festplatte</translation>
        </message>
        <message>
            <source>Disk encryption</source>
            <translation>Verschlüsselung der Festplatte</translation>
        </message>
        <message>
            <source>Memory access of devices</source>
            <translation>Speicherzugriff von Geräten</translation>
        </message>
        <message>
            <source>Interrupts of devices</source>
            <translation>Interrupts von Geräten</translation>
        </message>
        <message>
            <source>Crash dumps</source>
            <translation>Absturzabbilder</translation>
        </message>
        <message>
            <source>Processor flaws</source>
            <translation>Schwachstellen des Prozessors</translation>
        </message>
        <message>
            <source>Security chip (TPM)</source>
            <translation>Sicherheitschip (TPM)</translation>
        </message>
        <message>
            <source>Locked system kernel</source>
            <translation>Gesperrter Systemkern</translation>
        </message>
        <message>
            <source>Wiping of freed memory</source>
            <translation>Löschen freigegebenen Speichers</translation>
        </message>
        <message>
            <source>Service that runs both computers</source>
            <translation>Dienst, der beide Rechner betreibt</translation>
        </message>
        <message>
            <source>Twinhull's own state</source>
            <translation>Twinhulls eigener Zustand</translation>
        </message>
        <message>
            <source>The corporate computer is locked.</source>
            <translation>Der Firmenrechner ist gesperrt.</translation>
        </message>
        <message>
            <source>The company has not been heard of.</source>
            <translation>Von der Firma war nichts zu hören.</translation>
        </message>
        <message>
            <source>Ask your company; what was on the corporate computer is gone.</source>
            <translation>Fragen Sie Ihre Firma; was auf dem Firmenrechner war, ist weg.</translation>
        </message>
        <message>
            <source>Connect this laptop to the internet and wait; nothing of the corporate computer is lost.</source>
            <translation>Verbinden Sie diesen Laptop mit dem Internet und warten Sie; vom Firmenrechner ist nichts verloren.</translation>
        </message>
        <message>
            <source>Twinhull is in safe mode and changes nothing: {why}</source>
            <translation>Twinhull ist im abgesicherten Modus und ändert nichts: {why}</translation>
        </message>
        <message>
            <source>Run 'sudo twinhull doctor --recover-state'; the damaged file is kept.</source>
            <translation>Führen Sie „sudo twinhull doctor --recover-state“ aus; die beschädigte Datei bleibt erhalten.</translation>
        </message>
        <message>
            <source>Its own computer</source>
            <translation>Eigener Rechner</translation>
        </message>
        <message>
            <source>Gets {memory} of memory, {cpus} and {disk} GB of disk.</source>
            <translation>Bekommt {memory} Arbeitsspeicher, {cpus} und {disk} GB Speicherplatz.</translation>
        </message>
        <message>
            <source>Network</source>
            <translation>Netz</translation>
        </message>
        <message>
            <source>All of the corporate computer's traffic goes through the company.</source>
            <translation>Aller Datenverkehr des Firmenrechners geht durch die Firma.</translation>
        </message>
        <message>
            <source>The corporate computer reaches one company network and nothing else.</source>
            <translation>Der Firmenrechner erreicht ein Netz der Firma und sonst nichts.</translation>
        </message>
        <message>
            <source>The corporate computer reaches {n} company networks and nothing else.</source>
            <translation>Der Firmenrechner erreicht {n} Netze der Firma und sonst nichts.</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>Geräte</translation>
        </message>
        <message>
            <source>Always go to it: {require}. May go to it: {allow}. Never: {deny}.</source>
            <translation>Immer an ihn: {require}. Darf an ihn: {allow}. Nie: {deny}.</translation>
        </message>
        <message>
            <source>{n} kind</source>
            <translation>{n} Art</translation>
        </message>
        <message>
            <source>{n} kinds</source>
            <translation>{n} Arten</translation>
        </message>
        <message>
            <source>No device you plug in goes to the corporate computer.</source>
            <translation>Kein angestecktes Gerät geht an den Firmenrechner.</translation>
        </message>
        <message>
            <source>Copy out of it</source>
            <translation>Herauskopieren</translation>
        </message>
        <message>
            <source>Copy into it</source>
            <translation>Hineinkopieren</translation>
        </message>
        <message>
            <source>Without contact</source>
            <translation>Ohne Kontakt</translation>
        </message>
        <message>
            <source>After {hours} offline it locks; later its keys are to be destroyed.</source>
            <translation>Nach {hours} ohne Verbindung sperrt er sich; später sollen seine Schlüssel vernichtet werden.</translation>
        </message>
        <message>
            <source>After {hours} offline it locks. Nothing of it is lost.</source>
            <translation>Nach {hours} ohne Verbindung sperrt er sich. Nichts davon geht verloren.</translation>
        </message>
        <message>
            <source>What it sees</source>
            <translation>Was sie sieht</translation>
        </message>
        <message>
            <source>Reports about the corporate computer: {items}.</source>
            <translation>Meldungen über den Firmenrechner: {items}.</translation>
        </message>
        <message>
            <source>Nothing is reported.</source>
            <translation>Nichts wird gemeldet.</translation>
        </message>
        <message>
            <source>allowed</source>
            <translation>erlaubt</translation>
        </message>
        <message>
            <source>you are asked</source>
            <translation>Sie werden gefragt</translation>
        </message>
        <message>
            <source>not allowed</source>
            <translation>nicht erlaubt</translation>
        </message>
        <message>
            <source>Clipboard: {clipboard}; files: {files}; links: {links}.</source>
            <translation>Zwischenablage: {clipboard}; Dateien: {files}; Links: {links}.</translation>
        </message>
    </context>
</TS>
